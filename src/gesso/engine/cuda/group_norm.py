"""GroupNorm on channels-last memory, with SiLU and a shift riding along (Wu & He 2018).

PyTorch's kernel wants the pixels of a channel side by side, so it copies a channels-last map before and
the next convolution copies it back after; the shift and SiLU are passes of their own. Here a map whose
groups fit into the registers of one program is read once. A larger one is read twice: once for the
moments of every group, in chunks, and once to normalise.

Moments are means and sums of squared deviations, joined as Chan et al. 1979 do: a group far from zero
loses no digits, which sums of squares would.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gesso.engine.cuda.launch import on_device_of, parts, power_of_2

REGISTERS = 32768
"""Values of a group, padded to powers of two, that one program holds."""

ROWS, CHANNELS = 64, 64
"""The tile of pixels and channels that programs work on where a group does not fit."""

MOST_CHUNKS = 128
"""In how many parts the pixels of a large map are measured."""


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    *,
    silu: bool = False,
    shift: Tensor | None = None,
) -> Tensor:
    """GroupNorm of ``x + shift``, and SiLU after it if asked for.

    Args:
        x: (b, c, h, w), channels-last, float16, bfloat16 or float32.
        shift: (b, c) or (1, c), added to every pixel of a picture first.

    Returns:
        (b, c, h, w) like ``x``.
    """
    y = torch.empty_like(x)
    width = x.shape[1] // groups
    pixels = x.shape[2] * x.shape[3]
    padded = power_of_2(pixels) * power_of_2(width)
    with on_device_of(x):
        (_small if padded <= REGISTERS else _large)(x, y, groups, weight, bias, eps, silu, shift)
    return y


def _small(
    x: Tensor,
    y: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    silu: bool,
    shift: Tensor | None,
) -> None:
    batch, channels, height, width = x.shape
    rows, columns = power_of_2(height * width), power_of_2(channels // groups)
    kernel: Any = _whole_group
    kernel[(batch, groups)](
        x, y, weight, bias, x if shift is None else shift, 0 if shift is None else _stride(shift),
        height * width, channels, channels // groups, eps,
        SHIFTS=shift is not None, SILU=silu, ROWS=rows, COLUMNS=columns,
        num_warps=min(16, max(1, rows * columns // 2048)),
    )  # fmt: skip


def _large(
    x: Tensor,
    y: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    silu: bool,
    shift: Tensor | None,
) -> None:
    batch, channels, height, width = x.shape
    pixels = height * width
    # That one program measures: a power of two, so that few variants are compiled.
    tiles = power_of_2(parts(parts(pixels, ROWS), MOST_CHUNKS))
    chunks = parts(pixels, tiles * ROWS)
    moments = torch.empty(batch, chunks, 2, channels, dtype=torch.float32, device=x.device)
    statistics = torch.empty(batch, groups, 2, dtype=torch.float32, device=x.device)
    shifts = (x if shift is None else shift, 0 if shift is None else _stride(shift))
    measure: Any = _measure
    join: Any = _join
    apply: Any = _apply
    measure[(batch, chunks, parts(channels, CHANNELS))](
        x, moments, *shifts, pixels, channels,
        SHIFTS=shift is not None, TILES=tiles, ROWS=ROWS, COLUMNS=CHANNELS,
    )  # fmt: skip
    join[(batch, groups)](
        moments, statistics, pixels, channels, channels // groups, chunks, tiles * ROWS, eps,
        CHUNKS=power_of_2(chunks), COLUMNS=power_of_2(channels // groups),
    )  # fmt: skip
    apply[(parts(pixels, ROWS), parts(channels, CHANNELS), batch)](
        x, y, statistics, weight, bias, *shifts, pixels, channels, channels // groups,
        SHIFTS=shift is not None, SILU=silu, ROWS=ROWS, COLUMNS=CHANNELS,
    )  # fmt: skip


def _stride(shift: Tensor) -> int:
    """From one picture's shift to the next one's: none if all share it."""
    return 0 if len(shift) == 1 else shift.stride(0)


@triton.jit
def _activate(x, SILU: tl.constexpr):
    return x / (1 + tl.exp(-x)) if SILU else x


@triton.jit
def _whole_group(
    x, y, weight, bias, shift, shift_stride, pixels, channels, width, eps,
    SHIFTS: tl.constexpr, SILU: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One group of one picture, held in registers from reading to writing."""
    picture, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    channel = group * width + column
    inside = (row < pixels)[:, None] & (column < width)[None, :]
    place = picture * pixels * channels + row[:, None] * channels + channel[None, :]
    values = tl.load(x + place, mask=inside, other=0).to(tl.float32)
    if SHIFTS:
        added = tl.load(shift + picture * shift_stride + channel, mask=column < width, other=0)
        values += added.to(tl.float32)[None, :]
    count = pixels * width
    mean = tl.sum(tl.sum(tl.where(inside, values, 0), 0), 0) / count
    centred = tl.where(inside, values - mean, 0)
    variance = tl.sum(tl.sum(centred * centred, 0), 0) / count
    scale = tl.load(weight + channel, mask=column < width, other=0).to(tl.float32)
    offset = tl.load(bias + channel, mask=column < width, other=0).to(tl.float32)
    result = centred * (1 / tl.sqrt(variance + eps)) * scale[None, :] + offset[None, :]
    tl.store(y + place, _activate(result, SILU).to(y.dtype.element_ty), mask=inside)


@triton.jit
def _measure(
    x, moments, shift, shift_stride, pixels, channels,
    SHIFTS: tl.constexpr, TILES: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Over a chunk of pixels: every channel's mean, and its sum of squared deviations from it."""
    picture, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    known = channel < channels
    added = tl.zeros([COLUMNS], tl.float32)
    if SHIFTS:
        added = tl.load(shift + picture * shift_stride + channel, mask=known, other=0).to(tl.float32)
    mean, deviations = tl.zeros([COLUMNS], tl.float32), tl.zeros([COLUMNS], tl.float32)
    for tile in range(TILES):
        first = (chunk * TILES + tile) * ROWS
        row = first + tl.arange(0, ROWS)
        inside = (row < pixels)[:, None] & known[None, :]
        place = picture * pixels * channels + row[:, None] * channels + channel[None, :]
        values = tl.load(x + place, mask=inside, other=0).to(tl.float32) + added[None, :]
        before = tile * ROWS + 0.0
        count = tl.maximum(tl.minimum(pixels - first, ROWS), 0) + 0.0  # the last chunk may be short
        seen = tl.maximum(before + count, 1)
        tile_mean = tl.sum(tl.where(inside, values, 0), 0) / tl.maximum(count, 1)
        centred = tl.where(inside, values - tile_mean[None, :], 0)
        gap = tl.where(count > 0, tile_mean - mean, 0)
        deviations += tl.sum(centred * centred, 0) + gap * gap * (before * count / seen)
        mean += gap * (count / seen)
    target = moments + (picture * tl.num_programs(1) + chunk) * 2 * channels + channel
    tl.store(target, mean, mask=known)
    tl.store(target + channels, deviations, mask=known)


@triton.jit
def _join(
    moments, statistics, pixels, channels, width, chunks, chunk_pixels, eps,
    CHUNKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The moments of all chunks and channels of a group, as its mean and 1 / √(variance + eps)."""
    picture, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    chunk, column = tl.arange(0, CHUNKS), tl.arange(0, COLUMNS)
    inside = (chunk < chunks)[:, None] & (column < width)[None, :]
    source = moments + picture * chunks * 2 * channels
    source += chunk[:, None] * 2 * channels + (group * width + column)[None, :]
    means = tl.load(source, mask=inside, other=0)
    deviations = tl.load(source + channels, mask=inside, other=0)
    counts = tl.minimum(pixels - chunk * chunk_pixels, chunk_pixels).to(tl.float32)[:, None]
    count = pixels * width
    mean = tl.sum(tl.sum(tl.where(inside, means * counts, 0), 0), 0) / count
    gaps = tl.where(inside, means - mean, 0)
    variance = tl.sum(tl.sum(deviations + tl.where(inside, gaps * gaps * counts, 0), 0), 0) / count
    target = statistics + (picture * tl.num_programs(1) + group) * 2
    tl.store(target, mean)
    tl.store(target + 1, 1 / tl.sqrt(variance + eps))


@triton.jit
def _apply(
    x, y, statistics, weight, bias, shift, shift_stride, pixels, channels, width,
    SHIFTS: tl.constexpr, SILU: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One tile, normalised with the statistics of each channel's group."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    picture = tl.program_id(2).to(tl.int64)
    known = channel < channels
    group = picture * (channels // width) + channel // width
    mean = tl.load(statistics + group * 2, mask=known, other=0)
    reciprocal = tl.load(statistics + group * 2 + 1, mask=known, other=0)
    if SHIFTS:
        mean -= tl.load(shift + picture * shift_stride + channel, mask=known, other=0).to(tl.float32)
    scale = tl.load(weight + channel, mask=known, other=0).to(tl.float32) * reciprocal
    offset = tl.load(bias + channel, mask=known, other=0).to(tl.float32)
    inside = (row < pixels)[:, None] & known[None, :]
    place = picture * pixels * channels + row[:, None] * channels + channel[None, :]
    values = tl.load(x + place, mask=inside, other=0).to(tl.float32)
    result = (values - mean[None, :]) * scale[None, :] + offset[None, :]
    tl.store(y + place, _activate(result, SILU).to(y.dtype.element_ty), mask=inside)
