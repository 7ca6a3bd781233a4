"""Linear layers in tiles that stay in registers and caches.

Each thread takes some columns of the result, lays the weights they need out once as it reads them, and goes
through the rows: a block of them and a panel of weights stay in its caches meanwhile. So weights are
used as they lie in the file, and there is no second copy of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from gesso.engine.cpu.jit import inline, kernel, use_torch_threads
from gesso.engine.cpu.product_tiles import PANEL, ROWS, begin_tile, continue_tile, gate_row, take_columns

BLOCK = 16 * ROWS
"""Rows that meet a panel before the next ones take their place: they stay in the second-level cache."""

DEPTH = 320
"""Numbers of a row that meet a panel at a time, at most: the panel stays in the first-level cache."""

WIDEST = 10
"""Panels of a share, at most."""

FEWEST_ROWS = 8 * BLOCK
"""Rows of a share, at least: laying out weights should not take longer than using them."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + bias, as `torch.nn.functional.linear` has it: (…, k) by (n, k) -> (…, n), float32.

    k is a multiple of 8 and n one of `PANEL`.
    """
    y = torch.empty(*x.shape[:-1], weight.shape[0])
    _run(_multiply, x, weight, bias, y)
    return y


def gated_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """value · GELU(gate), of a linear layer that gives both in this order: (…, k) by (2n, k) -> (…, n)."""
    y = torch.empty(*x.shape[:-1], weight.shape[0] // 2)
    _run(_multiply_gated, x, weight, bias, y)
    return y


def multiply_stack(x: Tensor, panels: Tensor) -> Tensor:
    """As many products side by side, of weights laid out by `in_panels`.

    Args:
        x: (p, m, k), float32, contiguous.
        panels: (p, n / PANEL, k, PANEL).

    Returns:
        (p, m, n), n rounded up to whole panels.
    """
    use_torch_threads()
    count, across, _, _ = panels.shape
    y = torch.empty(*x.shape[:2], across * PANEL)
    least = -(-torch.get_num_threads() // count)  # shares of each product that there are threads for
    wide = -(-across // max(least, -(-across // WIDEST)))
    _multiply_stack(x.numpy(), panels.numpy(), np.zeros(wide * PANEL, np.float32), y.numpy(), wide)
    return y


def _run(multiply: Any, x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor) -> None:
    use_torch_threads()
    shift = torch.zeros(len(weight)) if bias is None else bias.detach().contiguous()
    factors = [part.detach().contiguous().flatten(0, -2).numpy() for part in (x, weight)]
    result = y.flatten(0, -2)  # (m, n)
    tall, wide = shares(len(result), result.shape[1], torch.get_num_threads())
    multiply(*factors, shift.numpy(), result.numpy(), tall, wide)


def shares(rows: int, columns: int, threads: int) -> tuple[int, int]:
    """Rows and columns that a thread takes at a time, so that there are enough shares for all of them."""
    panels = columns // PANEL
    across = -(-panels // WIDEST)
    down = min(-(-threads // across), max(1, rows // FEWEST_ROWS))
    across = min(panels, max(across, -(-threads // down)))
    return -(-rows // (down * BLOCK)) * BLOCK, -(-panels // across) * PANEL


@kernel
def _multiply(x: Any, weight: Any, bias: Any, y: Any, rows: int, columns: int) -> None:
    """x (m, k), weight (n, k), bias (n,) -> y (m, n), in shares of so many rows and columns."""
    (m, k), n = x.shape, y.shape[1]
    across, down = (n + columns - 1) // columns, (m + rows - 1) // rows
    for item in prange(across * down):
        left, top = item % across * columns, item // across * rows
        panels = min(columns, n - left) // PANEL
        packed = np.empty(panels * k * PANEL, np.float32)
        for panel in range(panels):
            take_columns(weight, (left + panel * PANEL) * k, k, packed, panel * k * PANEL)
        for row in range(top, min(m, top + rows), BLOCK):
            count = min(BLOCK, m - row)
            _multiply_block(x, row * k, k, packed, panels, bias, left, y, row * n + left, n, count)


@kernel
def _multiply_gated(x: Any, weight: Any, bias: Any, y: Any, rows: int, columns: int) -> None:
    """x (m, k), weight (2n, k), bias (2n,) -> y (m, n), in shares of so many rows and columns."""
    (m, k), n = x.shape, y.shape[1]
    across, down = (n + columns - 1) // columns, (m + rows - 1) // rows
    for item in prange(across * down):
        left, top = item % across * columns, item // across * rows
        width = min(columns, n - left)
        panels = width // PANEL
        packed = np.empty(2 * panels * k * PANEL, np.float32)  # of the values, then of their gates
        shift = np.empty(2 * width, np.float32)
        for panel in range(2 * panels):
            first = left + panel % panels * PANEL + panel // panels * n
            take_columns(weight, first * k, k, packed, panel * k * PANEL)
            for column in range(PANEL):
                shift[panel * PANEL + column] = bias[first + column]
        both = np.empty(BLOCK * 2 * width, np.float32)
        for row in range(top, min(m, top + rows), BLOCK):
            count = min(BLOCK, m - row)
            _multiply_block(x, row * k, k, packed, 2 * panels, shift, 0, both, 0, 2 * width, count)
            for i in range(count):
                gate_row(both, i * 2 * width, width, y, (row + i) * n + left)


@kernel
def _multiply_stack(x: Any, panels: Any, zeros: Any, y: Any, wide: int) -> None:
    """x (p, m, k), panels (p, n / PANEL, k, PANEL) -> y (p, m, n), in shares of so many panels."""
    count, m, k = x.shape
    across = panels.shape[1]
    shares = (across + wide - 1) // wide
    for item in prange(count * shares):
        product, left = item // shares, item % shares * wide
        width = min(wide, across - left)
        packed = panels[product, left : left + width].reshape(-1)
        for row in range(0, m, BLOCK):
            source = (product * m + row) * k
            target = ((product * m + row) * across + left) * PANEL
            stride, rows = across * PANEL, min(BLOCK, m - row)
            _multiply_block(x, source, k, packed, width, zeros, 0, y, target, stride, rows)


@inline
def _multiply_block(
    x: Any,
    x_first: int,
    k: int,
    packed: Any,
    panels: int,
    bias: Any,
    bias_first: int,
    y: Any,
    y_first: int,
    stride: int,
    count: int,
) -> None:
    """So many rows of x by all panels -> y, from one row of which to the next it is a stride."""
    turns = (k + DEPTH - 1) // DEPTH
    depth = (k + turns - 1) // turns
    for begin in range(0, k, depth):
        numbers = min(depth, k - begin)
        for panel in range(panels):
            place, column = (panel * k + begin) * PANEL, panel * PANEL
            for row in range(0, count, ROWS):
                last = min(ROWS, count - row) - 1
                source, target = x_first + row * k + begin, y_first + row * stride + column
                if begin == 0:
                    shift = bias_first + column
                    begin_tile(x, source, k, packed, place, numbers, bias, shift, y, target, stride, last)
                else:
                    continue_tile(x, source, k, packed, place, numbers, y, target, stride, last)
