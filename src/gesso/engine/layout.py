"""How tensors lie in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def channels_last(model: Model) -> Model:
    """Lay a model's convolution weights out as (out, h, w, in), which is faster on CPUs and tensor cores.

    The values are the same. Feature maps follow the layout of what goes in.
    """
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def rows(model: Model) -> Model:
    """Lay a model's convolution weights out as they are loaded, (out, in, h, w)."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous()
    return model
