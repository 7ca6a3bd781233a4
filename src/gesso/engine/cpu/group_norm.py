"""GroupNorm in two passes over memory, with SiLU in the second (Wu & He 2018; PyTorch takes four)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from gesso.engine.cpu.jit import exp, kernel, pixels, use_torch_threads


def group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, *, silu: bool = False
) -> Tensor:
    """GroupNorm of a feature map (b, c, h, w) in float32, and SiLU after it if asked for; channels-last."""
    use_torch_threads()
    y = torch.empty(x.shape, memory_format=torch.channels_last)
    source, target = pixels(x), pixels(y)
    sums = np.empty((*source.shape[:2], 2, source.shape[3]), np.float32)  # (b, h, 2, c)
    _row_sums(source, sums)
    scale, shift = _affine(torch.from_numpy(sums), source.shape[2], groups, weight, bias, eps)
    (_apply_silu if silu else _apply)(source, scale.numpy(), shift.numpy(), target)
    return y


def _affine(
    sums: Tensor, width: int, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The normalisation as x · scale + shift, both (b, c), from each row's sums and sums of squares."""
    per_group = sums.double().sum(1).unflatten(-1, (groups, -1))  # (b, 2, groups, c/groups)
    count = sums.shape[1] * width * per_group.shape[-1]
    mean, square = (per_group.sum(-1) / count).unbind(1)  # (b, groups)
    reciprocal = (square - mean**2).clamp(min=0).add(eps).rsqrt()
    channels = per_group.shape[-1]
    scale = reciprocal.repeat_interleave(channels, 1) * weight
    shift = bias - mean.repeat_interleave(channels, 1) * scale
    return scale.float(), shift.float()


@kernel
def _row_sums(x: Any, sums: Any) -> None:
    """Over each row: the sums of every channel's values and of their squares."""
    pictures, height, width, channels = x.shape
    for row in prange(pictures * height):
        picture, y = row // height, row % height
        for c in range(channels):
            sums[picture, y, 0, c] = 0
            sums[picture, y, 1, c] = 0
        for column in range(width):
            for c in range(channels):
                value = x[picture, y, column, c]
                sums[picture, y, 0, c] += value
                sums[picture, y, 1, c] += value * value


@kernel
def _apply(x: Any, scale: Any, shift: Any, target: Any) -> None:
    pictures, height, width, channels = x.shape
    for row in prange(pictures * height):
        picture, y = row // height, row % height
        for column in range(width):
            for c in range(channels):
                target[picture, y, column, c] = (
                    x[picture, y, column, c] * scale[picture, c] + shift[picture, c]
                )


@kernel
def _apply_silu(x: Any, scale: Any, shift: Any, target: Any) -> None:
    pictures, height, width, channels = x.shape
    for row in prange(pictures * height):
        picture, y = row // height, row % height
        for column in range(width):
            for c in range(channels):
                value = x[picture, y, column, c] * scale[picture, c] + shift[picture, c]
                target[picture, y, column, c] = value / (np.float32(1) + exp(-value))
