"""Multiply–accumulates (MACs) of the three functions that do nearly all of a model's arithmetic.

A MAC is one multiplication and one addition: two floating-point operations. Biases, norms, activations
and additions are left out, as is usual; together they are well under one percent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Macs:
    """Multiply–accumulates by what they are spent on.

    Attributes:
        convolution: in convolutions.
        linear: in linear layers.
        attention: in attention's two products, QKᵀ and AV, which most counters leave out.
    """

    convolution: int = 0
    linear: int = 0
    attention: int = 0

    @property
    def total(self) -> int:
        return self.convolution + self.linear + self.attention

    def __add__(self, other: Macs) -> Macs:
        return Macs(
            self.convolution + other.convolution,
            self.linear + other.linear,
            self.attention + other.attention,
        )


def convolution_macs(weight: Tensor, output: Tensor) -> Macs:
    """Each output value is a sum over the input channels (of its group) and the kernel."""
    return Macs(convolution=output.numel() * prod(weight.shape[1:]))


def linear_macs(weight: Tensor, output: Tensor) -> Macs:
    """Each output value is a sum over the input features."""
    return Macs(linear=output.numel() * weight.shape[-1])


def attention_macs(query: Tensor, key: Tensor, value: Tensor) -> Macs:
    """QKᵀ and AV, for queries (…, n, d), keys (…, m, d) and values (…, m, e).

    A causal mask halves what is needed, not what is usually computed, so it changes nothing here.
    """
    queries, keys = prod(query.shape[:-1]), key.shape[-2]
    return Macs(attention=queries * keys * (query.shape[-1] + value.shape[-1]))


def call_macs(function: Callable[..., Any], args: tuple[Any, ...], output: Any) -> Macs:
    """The MACs of one call of a torch function, given its positional arguments and its result."""
    if function is F.conv2d:
        return convolution_macs(args[1], output)
    if function is F.linear:
        return linear_macs(args[1], output)
    if function is F.scaled_dot_product_attention:
        return attention_macs(*args[:3])
    return Macs()
