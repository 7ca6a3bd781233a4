"""Winograd's 3×3 convolution: four by four outputs from 36 products instead of 144, or two by two from 16.

Winograd 1980; Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", §4: with the input
tile d and the filter g, each output tile is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. Over all tiles and channels the
elementwise products are as many matrix products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from gesso.engine.cpu.jit import inline, kernel, pixels, use_torch_threads
from gesso.engine.cpu.product_tiles import PANEL
from gesso.engine.cpu.products import multiply_stack

FILTER_TRANSFORMS = {  # G, by the side of the output tile
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
}

WORKSPACE = 16 * 2**20
"""Bytes of transformed input at a time: a share of the picture whose products stay in the cache."""


def transform_weight(weight: Tensor, tile: int) -> Tensor:
    """Filters (out, in, 3, 3) -> G g Gᵀ in panels, ((tile + 2)², out / PANEL, in, PANEL)."""
    use_torch_threads()
    g = np.asarray(FILTER_TRANSFORMS[tile], np.float32)
    out_channels, in_channels = weight.shape[:2]
    panels = -(-out_channels // PANEL)
    transformed = torch.empty((tile + 2) ** 2, panels, in_channels, PANEL)
    # one row a product: what it takes of each of the nine values of a filter
    _transform_filters(weight.contiguous().flatten(2).numpy(), np.kron(g, g), transformed.numpy())
    return transformed


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor, *, doubled: bool = False) -> Tensor:
    """A 3×3 convolution, stride 1, zeros beyond the border.

    Args:
        x: (b, in, h, w), float32; any layout, channels-last is the fast one.
        weight: (36 or 16, out / PANEL, in, PANEL) from `transform_weight`.
        bias: (out,), or (b, out), one for each picture.
        doubled: convolve the nearest-neighbour enlargement of ``x`` to (2h, 2w), without making it.

    Returns:
        (b, out, h, w), or (b, out, 2h, 2w); channels-last.
    """
    use_torch_threads()
    source = pixels(x)
    b, h, w, in_channels = source.shape
    scale = 2 if doubled else 1
    count, out_channels = len(weight), bias.shape[-1]
    tile = 4 if count == 36 else 2
    y = torch.empty((b, out_channels, h * scale, w * scale), memory_format=torch.channels_last)
    if not y.numel():
        return y
    # contiguous, as each layout of an array is a kernel of its own to compile
    target, biases = pixels(y), bias.detach().expand(b, -1).contiguous().numpy()
    across = -(-w * scale // tile)
    rows = b * -(-h * scale // tile)  # of tiles, over all pictures
    portion = max(1, WORKSPACE // (4 * count * across * max(in_channels, out_channels)))
    portion = -(-rows // -(-rows // portion))  # equal shares
    transform_input, transform_output = KERNELS[tile]
    for first in range(0, rows, portion):
        taken = min(portion, rows - first)
        tiles = torch.empty(count, taken * across, in_channels)
        transform_input(source, tiles.numpy(), first, taken, scale)
        products = multiply_stack(tiles, weight)  # (36, tiles, out)
        transform_output(products.numpy(), biases, target, first, taken)
    return y


@kernel
def _transform_filters(filters: Any, transform: Any, transformed: Any) -> None:
    """filters (out, in, 9), transform (36, 9) -> (36, panels, in, PANEL); four input channels at a time."""
    count, panels, in_channels, _ = transformed.shape
    for panel in prange(panels):
        first = panel * PANEL
        turned = np.zeros((4, 9, PANEL), np.float32)
        for i in range(0, in_channels, 4):
            width = min(4, in_channels - i)
            for o in range(min(PANEL, len(filters) - first)):
                for j in range(width):
                    for k in range(9):
                        turned[j, k, o] = filters[first + o, i + j, k]
            for product in range(count):
                row = transform[product]
                for j in range(width):
                    for o in range(PANEL):
                        value = (
                            row[0] * turned[j, 0, o] + row[1] * turned[j, 1, o] + row[2] * turned[j, 2, o]
                        )
                        value += (
                            row[3] * turned[j, 3, o] + row[4] * turned[j, 4, o] + row[5] * turned[j, 5, o]
                        )
                        value += (
                            row[6] * turned[j, 6, o] + row[7] * turned[j, 7, o] + row[8] * turned[j, 8, o]
                        )
                        transformed[product, panel, i + j, o] = value


@inline
def _read_tile(x: Any, picture: int, top: int, left: int, scale: int, d: Any) -> None:
    """The pixels of a tile, zeros beyond the border: x (b, h, w, c) -> d (side, side, c)."""
    _, height, width, channels = x.shape
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            y, z = top + i, left + j
            if 0 <= y < height * scale and 0 <= z < width * scale:
                y, z = y // scale, z // scale
                for c in range(channels):
                    d[i, j, c] = x[picture, y, z, c]
            else:
                for c in range(channels):
                    d[i, j, c] = 0


@inline
def _write_tile(m: Any, bias: Any, picture: int, top: int, left: int, y: Any) -> None:
    """What of an output tile lies in the picture, plus bias: m (side, side, c) -> y (b, h, w, c)."""
    _, height, width, channels = y.shape
    for i in range(min(m.shape[0], height - top)):
        for j in range(min(m.shape[0], width - left)):
            for c in range(channels):
                y[picture, top + i, left + j, c] = m[i, j, c] + bias[picture, c]


@inline
def _b4(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """Bᵀ d for tiles of four: six values to six."""
    even, odd = d4 - 4 * d2, d3 - 4 * d1
    even2, odd2 = d4 - d2, 2 * (d3 - d1)
    return 4 * d0 - 5 * d2 + d4, even + odd, even - odd, even2 + odd2, even2 - odd2, 4 * d1 - 5 * d3 + d5


@inline
def _a4(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """Aᵀ m for tiles of four: six values to four."""
    sum1, difference1, sum2, difference2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + sum1 + sum2,
        difference1 + 2 * difference2,
        sum1 + 4 * sum2,
        difference1 + 8 * difference2 + m5,
    )


@kernel
def _transform_input4(x: Any, tiles: Any, first: int, count: int, scale: int) -> None:
    """Bᵀ d B of the tiles in rows ``first`` to ``first + count``: x (b, h, w, c) -> tiles (36, n, c)."""
    _, height, width, channels = x.shape
    down, across = (height * scale + 3) // 4, (width * scale + 3) // 4
    for row in prange(count):
        picture, top = (first + row) // down, 4 * ((first + row) % down) - 1
        d = np.empty((6, 6, channels), np.float32)
        for column in range(across):
            tile = row * across + column
            _read_tile(x, picture, top, 4 * column - 1, scale, d)
            for i in range(6):
                for c in range(channels):
                    d[i, 0, c], d[i, 1, c], d[i, 2, c], d[i, 3, c], d[i, 4, c], d[i, 5, c] = _b4(
                        d[i, 0, c], d[i, 1, c], d[i, 2, c], d[i, 3, c], d[i, 4, c], d[i, 5, c]
                    )
            for j in range(6):
                for c in range(channels):
                    v0, v1, v2, v3, v4, v5 = _b4(
                        d[0, j, c], d[1, j, c], d[2, j, c], d[3, j, c], d[4, j, c], d[5, j, c]
                    )
                    tiles[j, tile, c] = v0
                    tiles[6 + j, tile, c] = v1
                    tiles[12 + j, tile, c] = v2
                    tiles[18 + j, tile, c] = v3
                    tiles[24 + j, tile, c] = v4
                    tiles[30 + j, tile, c] = v5


@kernel
def _transform_output4(products: Any, bias: Any, y: Any, first: int, count: int) -> None:
    """Aᵀ m A + bias of the tiles in rows ``first`` to ``first + count``: (36, n, c) -> y (b, h, w, c)."""
    _, height, width, channels = y.shape
    down, across = (height + 3) // 4, (width + 3) // 4
    for row in prange(count):
        picture, top = (first + row) // down, 4 * ((first + row) % down)
        m = np.empty((4, 6, channels), np.float32)
        for column in range(across):
            tile = row * across + column
            for j in range(6):
                for c in range(channels):
                    m[0, j, c], m[1, j, c], m[2, j, c], m[3, j, c] = _a4(
                        products[j, tile, c],
                        products[6 + j, tile, c],
                        products[12 + j, tile, c],
                        products[18 + j, tile, c],
                        products[24 + j, tile, c],
                        products[30 + j, tile, c],
                    )
            for i in range(4):
                for c in range(channels):
                    m[i, 0, c], m[i, 1, c], m[i, 2, c], m[i, 3, c] = _a4(
                        m[i, 0, c], m[i, 1, c], m[i, 2, c], m[i, 3, c], m[i, 4, c], m[i, 5, c]
                    )
            _write_tile(m, bias, picture, top, 4 * column, y)


@kernel
def _transform_input2(x: Any, tiles: Any, first: int, count: int, scale: int) -> None:
    """Bᵀ d B of the tiles in rows ``first`` to ``first + count``: x (b, h, w, c) -> tiles (16, n, c)."""
    _, height, width, channels = x.shape
    down, across = (height * scale + 1) // 2, (width * scale + 1) // 2
    for row in prange(count):
        picture, top = (first + row) // down, 2 * ((first + row) % down) - 1
        d = np.empty((4, 4, channels), np.float32)
        for column in range(across):
            tile = row * across + column
            _read_tile(x, picture, top, 2 * column - 1, scale, d)
            for i in range(4):
                for c in range(channels):
                    d0, d1, d2, d3 = d[i, 0, c], d[i, 1, c], d[i, 2, c], d[i, 3, c]
                    d[i, 0, c], d[i, 1, c], d[i, 2, c], d[i, 3, c] = d0 - d2, d1 + d2, d2 - d1, d1 - d3
            for j in range(4):
                for c in range(channels):
                    d0, d1, d2, d3 = d[0, j, c], d[1, j, c], d[2, j, c], d[3, j, c]
                    tiles[j, tile, c] = d0 - d2
                    tiles[4 + j, tile, c] = d1 + d2
                    tiles[8 + j, tile, c] = d2 - d1
                    tiles[12 + j, tile, c] = d1 - d3


@kernel
def _transform_output2(products: Any, bias: Any, y: Any, first: int, count: int) -> None:
    """Aᵀ m A + bias of the tiles in rows ``first`` to ``first + count``: (16, n, c) -> y (b, h, w, c)."""
    _, height, width, channels = y.shape
    down, across = (height + 1) // 2, (width + 1) // 2
    for row in prange(count):
        picture, top = (first + row) // down, 2 * ((first + row) % down)
        m = np.empty((2, 4, channels), np.float32)
        for column in range(across):
            tile = row * across + column
            for j in range(4):
                for c in range(channels):
                    middle, other = products[4 + j, tile, c], products[8 + j, tile, c]
                    m[0, j, c] = products[j, tile, c] + middle + other
                    m[1, j, c] = middle - other - products[12 + j, tile, c]
            for i in range(2):
                for c in range(channels):
                    m0, m1, m2, m3 = m[i, 0, c], m[i, 1, c], m[i, 2, c], m[i, 3, c]
                    m[i, 0, c], m[i, 1, c] = m0 + m1 + m2, m1 - m2 - m3
            _write_tile(m, bias, picture, top, 2 * column, y)


KERNELS = {2: (_transform_input2, _transform_output2), 4: (_transform_input4, _transform_output4)}
