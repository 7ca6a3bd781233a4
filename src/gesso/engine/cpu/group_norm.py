"""GroupNorm in two passes over memory, with SiLU in the second (Wu & He 2018; PyTorch takes four)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from gesso.engine.cpu.jit import exp, kernel, pixels, use_torch_threads


def group_norm_silu(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """SiLU of the GroupNorm of a feature map (b, c, h, w) in float32; channels-last."""
    use_torch_threads()
    y = torch.empty(x.shape, memory_format=torch.channels_last)
    if not y.numel():
        return y
    source, target = pixels(x), pixels(y)
    sums = np.empty((*source.shape[:2], 2, source.shape[3]), np.float32)  # (b, h, 2, c)
    _row_sums(source, sums)
    moments = torch.from_numpy(sums).double().sum(1) / (x.shape[2] * x.shape[3])  # (b, 2, c)
    scale, shift = _affine(x[:, :, 0, 0], moments, groups, weight, bias, eps)
    _apply(source, scale.numpy(), shift.numpy(), target)
    return y


def _affine(
    pivot: Tensor, moments: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The normalisation as x · scale + shift, both (b, c).

    Args:
        pivot: (b, c), a value near each channel's mean.
        moments: (b, 2, c), each channel's means of x − pivot and of its square.
    """
    offset, square = moments.unbind(1)  # (b, c) each
    means = (pivot + offset).unflatten(1, (groups, -1))  # (b, groups, c/groups)
    mean = means.mean(2, keepdim=True)
    within = (square - offset**2).unflatten(1, (groups, -1))
    variance = (within + (means - mean) ** 2).mean(2, keepdim=True).clamp(min=0)
    scale = (variance + eps).rsqrt().expand_as(means).flatten(1) * weight
    shift = bias - mean.expand_as(means).flatten(1) * scale
    return scale.float(), shift.float()


@kernel
def _row_sums(x: Any, sums: Any) -> None:
    """Over each row: the sums of every channel's values and of their squares.

    They are taken of the difference to the channel's first value: where the mean is large, the variance
    would drown in the rounding of the squares.
    """
    pictures, height, width, channels = x.shape
    for row in prange(pictures * height):
        picture, y = row // height, row % height
        for c in range(channels):
            sums[picture, y, 0, c] = 0
            sums[picture, y, 1, c] = 0
        for column in range(width):
            for c in range(channels):
                value = x[picture, y, column, c] - x[picture, 0, 0, c]
                sums[picture, y, 0, c] += value
                sums[picture, y, 1, c] += value * value


@kernel
def _apply(x: Any, scale: Any, shift: Any, target: Any) -> None:
    pictures, height, width, channels = x.shape
    for row in prange(pictures * height):
        picture, y = row // height, row % height
        for column in range(width):
            for c in range(channels):
                value = x[picture, y, column, c] * scale[picture, c] + shift[picture, c]
                target[picture, y, column, c] = value / (np.float32(1) + exp(-value))
