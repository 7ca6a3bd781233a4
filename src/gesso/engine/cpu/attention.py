"""Attention block by block: neither all logits nor copies of whole heads are ever in memory.

Dao et al. 2022, "FlashAttention", Algorithm 1, over blocks that stay in a core's caches, with the online
softmax of Milakov & Gimelshein 2018. Powers are of two, not of e: log₂ e is part of the queries' scale.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from gesso.engine.cpu.attention_tiles import (
    ROWS,
    STRIP,
    exponentiate,
    give_outputs,
    score_keys,
    take_keys,
    take_queries,
    weigh_values,
)
from gesso.engine.cpu.jit import inline, kernel, use_torch_threads
from gesso.engine.cpu.vectors import SQUARE

KEYS = 128
"""Keys of a block: their logits with a strip of queries stay in the first-level cache."""

STRIPS = 16
"""Strips of queries that a block of keys meets at most, before the next block takes its place."""

STRIP_NUMBERS = 48 * 1024
"""Of queries and as many of sums that stay in the second-level cache: fewer strips where heads are wide."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v, as `torch.nn.functional.scaled_dot_product_attention` has it.

    Args:
        q: (b, heads, n, d), float32, d a multiple of 8; fastest where the heads of a row lie side by side,
            as linear layers leave them.
        k, v: (b, heads, m, d).

    Returns:
        (b, heads, n, d), the heads of a row side by side.
    """
    use_torch_threads()
    heads, d = q.shape[1], q.shape[3]
    y = torch.empty(q.shape[0], q.shape[2], heads * d)
    strips = min(STRIPS, max(1, STRIP_NUMBERS // (d * STRIP)))
    factor = np.float32(math.log2(math.e) / math.sqrt(d))
    _attend(_rows(q), _rows(k), _rows(v), y.numpy(), heads, factor, strips)
    return y.unflatten(2, (heads, d)).transpose(1, 2)


def _rows(x: Tensor) -> np.ndarray:
    """(b, heads, n, d) as (b, n, heads·d): a copy only if it does not lie so."""
    return x.detach().transpose(1, 2).flatten(2).contiguous().numpy()


@kernel
def _attend(q: Any, k: Any, v: Any, y: Any, heads: int, factor: Any, strips: int) -> None:
    """q (b, n, heads·d), k and v (b, m, heads·d) -> y (b, n, heads·d)."""
    pictures, n, _ = q.shape
    block = strips * STRIP
    blocks = (n + block - 1) // block
    for item in prange(pictures * heads * blocks):
        picture, head, first = item // (heads * blocks), item // blocks % heads, item % blocks * block
        _attend_block(q, k, v, y, heads, factor, picture, head, first, min(block, n - first))


@inline
def _attend_block(
    q: Any,
    k: Any,
    v: Any,
    y: Any,
    heads: int,
    factor: Any,
    picture: int,
    head: int,
    first: int,
    count: int,
) -> None:
    """The ``count`` queries from ``first`` on, of one head in one picture."""
    n, width = q.shape[1:]
    m, d = k.shape[1], width // heads
    strips = (count + STRIP - 1) // STRIP
    queries = np.empty(strips * d * STRIP, np.float32)
    sums = np.empty(strips * d * STRIP, np.float32)  # of values times powers
    totals = np.empty(strips * STRIP, np.float32)  # of powers
    largest, subtracted = np.empty_like(totals), np.empty_like(totals)
    shrinkage = np.empty(STRIP, np.float32)
    keys, values = np.empty(KEYS * d, np.float32), np.empty(KEYS * d, np.float32)
    logits = np.empty(KEYS * STRIP, np.float32)
    for i in range(strips * d * STRIP):
        sums[i] = 0
    for i in range(strips * STRIP):
        totals[i], largest[i], subtracted[i] = 0, -np.inf, -np.inf
    start = (picture * n + first) * width + head * d
    last = (count - 1) * width
    for row in range(0, strips * STRIP, SQUARE):
        place = row // STRIP * d * STRIP + row % STRIP
        take_queries(q, start, row * width, last, width, d, factor, queries, place)
    for begin in range(0, m, KEYS):
        met = min(KEYS, m - begin)
        place = (picture * m + begin) * width + head * d
        take_keys(k, place, v, place, met, width, d, keys, 0, values, 0)
        for strip in range(strips):
            own, lane = strip * d * STRIP, strip * STRIP
            for key in range(0, met, ROWS):
                score_keys(
                    queries, own, keys, 0, key * d, (met - 1) * d, d, logits, key * STRIP, largest, lane
                )
            exponentiate(logits, 0, met, largest, lane, subtracted, lane, totals, lane, shrinkage, 0)
            for c in range(0, d, ROWS):
                place = c // SQUARE * met * SQUARE + c % SQUARE
                weigh_values(values, place, met, logits, 0, shrinkage, 0, sums, own + c * STRIP)
    for row in range(0, strips * STRIP, SQUARE):
        place = row // STRIP * d * STRIP + row % STRIP
        give_outputs(sums, place, totals, row, y, start, row * width, last, width, d)
