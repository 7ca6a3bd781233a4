"""Random-looking patterns that follow from a scene's phase alone, the same at any size everywhere."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class Cells(NamedTuple):
    """A grid of cells, one mark in each, as every pixel sees it.

    Attributes:
        u, v: how far a pixel is from the mark of its cell, in picture units, (b, h, w).
        random: the cell's own random value in 0…1, (b, h, w).
    """

    u: Tensor
    v: Tensor
    random: Tensor


def scatter(x: Tensor, y: Tensor, phase: Tensor, columns: int, rows: int) -> Cells:
    """Marks at random places, one in each cell of a grid that covers the picture.

    Args:
        x: (1, 1, w), y: (1, h, 1), in 0…1.
        phase: (b, 1, 1).
    """
    column, row = (x * columns).long().flatten(), (y * rows).long().flatten()
    values = random_cells(phase, columns * rows).view(-1, rows, columns)
    size, across, along = ((values >> shift & 255) / 255 for shift in (0, 8, 16))

    def of_pixels(cells: Tensor) -> Tensor:
        return cells[:, row][:, :, column]  # (b, h, w)

    u = x - (column + 0.25 + 0.5 * of_pixels(across)) / columns
    v = y - (row[:, None] + 0.25 + 0.5 * of_pixels(along)) / rows
    return Cells(u, v, of_pixels(size))


def clouded(phase: Tensor, cells: int, size: tuple[int, int]) -> Tensor:
    """Smooth noise in 0…1, (b, 1, h, w): random values at ``cells`` × ``cells`` points, interpolated."""
    values = (random_cells(phase, cells * cells) & 0xFFFF) / 0xFFFF
    grid = values.view(-1, 1, cells, cells).to(phase)
    return interpolate(grid, size=size, mode="bilinear", align_corners=True)


def random_cells(phase: Tensor, count: int) -> Tensor:
    """Integers of 32 bits, (b, count)."""
    cells = torch.arange(count, device=phase.device)
    numbers = cells + (phase.view(-1, 1) * 2**20).long() * count
    for shift, factor in ((17, 0x2D51ACB5), (11, 0x4C1B5159), (15, 0x31848BAB)):
        numbers = (numbers ^ numbers >> shift) * factor & 0xFFFFFFFF
    return numbers ^ numbers >> 14
