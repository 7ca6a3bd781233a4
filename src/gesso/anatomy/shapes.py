"""The shapes that torch functions give meta tensors, without the wait.

Torch's own rules for these are right, but written in Python, and the first of them to run imports torch's
compiler: two seconds. The functions the models spend their time in are given here; others take torch's way.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Shape = tuple[int, ...]
Pair = tuple[int, int]


def same(x: Tensor, *_: Any, **__: Any) -> Shape:
    """Activations and norms."""
    return x.shape


def broadcast(x: Tensor, y: Any, **_: Any) -> Shape:
    """Arithmetic of a tensor with a tensor or a number."""
    if not isinstance(y, Tensor):
        return x.shape
    sizes = zip_longest(reversed(x.shape), reversed(y.shape), fillvalue=1)
    return tuple(a if b == 1 else b for a, b in sizes)[::-1]


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Shape:
    """Of a two-dimensional convolution: b images, one channel per kernel, sides by stride and padding."""
    del bias, groups
    kernel = weight.shape[-2:]
    sides = (
        (x.shape[2 + side] + 2 * padding[side] - dilation[side] * (kernel[side] - 1) - 1) // stride[side]
        + 1
        for side in range(2)
    )
    return (x.shape[0], weight.shape[0], *sides)


def linear(x: Tensor, weight: Tensor, *_: Any) -> Shape:
    return (*x.shape[:-1], weight.shape[0])


def attention(query: Tensor, key: Tensor, value: Tensor, **_: Any) -> Shape:
    del key
    return (*query.shape[:-1], value.shape[-1])


def embedding(tokens: Tensor, weight: Tensor, *_: Any, **__: Any) -> Shape:
    return (*tokens.shape, weight.shape[1])


def resizing(x: Tensor, size: Pair, **_: Any) -> Shape:
    return (*x.shape[:2], *size)


def concatenation(tensors: list[Tensor], dim: int = 0) -> Shape:
    shape = list(tensors[0].shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return tuple(shape)


SHAPES: dict[Callable[..., Any], Callable[..., Shape]] = {
    F.group_norm: same,
    F.layer_norm: same,
    F.silu: same,
    F.gelu: same,
    torch.sigmoid: same,
    Tensor.clamp: same,
    Tensor.add: broadcast,
    Tensor.mul: broadcast,
    Tensor.div: broadcast,
    F.conv2d: convolution,
    F.linear: linear,
    F.scaled_dot_product_attention: attention,
    F.embedding: embedding,
    F.interpolate: resizing,
    torch.cat: concatenation,
}


def call_on_meta(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``function(*args, **kwargs)``; of the right shape only, where the result is a meta tensor."""
    rule, tensors = SHAPES.get(function), operands(args)
    if rule is None or not any(operand.is_meta for operand in tensors):
        return function(*args, **kwargs)
    return torch.empty(rule(*args, **kwargs), dtype=tensors[-1].dtype, device="meta")


def operands(args: tuple[Any, ...]) -> list[Tensor]:
    """The tensors among a function's arguments, one list deep."""
    flat = args[0] if args and isinstance(args[0], list | tuple) else args
    return [operand for operand in flat if isinstance(operand, Tensor)]
