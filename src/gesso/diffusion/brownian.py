"""Brownian motion over the noise level: any increment of it, in any order, from one seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

DIGITS = 6
"""Of the decimals to which times are rounded: torchsde's tolerance of 1e-6."""

POOL_SIZE = 24
"""Words of entropy torchsde's trees mix their seeds from."""


class BrownianTree:
    """A path W(t) over start … end that a seed decides alone, whatever is asked of it, and when.

    The path is drawn by halving (Lévy's construction, as a virtual tree: Li et al. 2020, section 4): the
    middle of an interval is its ends' mean plus noise from a seed of that interval's own. Seeds and halves
    are those of torchsde's ``BrownianTree``, so that its paths, and the pictures of programs that use it,
    come back.

    Args:
        start: the smallest time.
        end: the largest.
        seed: of the path.
        draw: a seed of 32 bits -> noise of unit variance, always the same shape.
    """

    def __init__(self, start: float, end: float, seed: int, draw: Callable[[int], Tensor]) -> None:
        self._start = round(start, DIGITS)
        self._end = round(end, DIGITS)
        self._seed = seed
        self._draw = draw
        first, *_ = np.random.SeedSequence(seed, pool_size=POOL_SIZE).generate_state(3)
        self._whole = draw(int(first)).double() * math.sqrt(end - start)
        self._known: dict[float, Tensor] = {}

    def increment(self, time: float, other: float) -> Tensor:
        """W(other) − W(time) in double precision; times outside start … end are moved to its ends."""
        values = {self._at(time): self.value(time), self._at(other): self.value(other)}
        self._known = values  # the next step begins where this one ended
        return values[self._at(other)] - values[self._at(time)]

    def value(self, time: float) -> Tensor:
        """W(time), with W(start) = 0."""
        time = self._at(time)
        if time in self._known:
            return self._known[time]
        low, high, left_of = self._start, self._end, torch.zeros_like(self._whole)
        change, place, depth = self._whole, 0, 0
        while low < time < high:
            middle = round((low + high) / 2, DIGITS)
            half = change * ((middle - low) / (high - low)) + self._bridge(low, middle, high, place, depth)
            if time < middle:
                high, change, place = middle, half, 2 * place
            else:
                low, change, place, left_of = middle, change - half, 2 * place + 1, left_of + half
            depth += 1
        return left_of if time == low else left_of + change

    def _bridge(self, low: float, middle: float, high: float, place: int, depth: int) -> Tensor:
        """How far the path strays from the straight line in the middle of an interval."""
        seeds = np.random.SeedSequence(self._seed, spawn_key=(place, depth), pool_size=POOL_SIZE)
        deviation = math.sqrt((middle - low) * (high - middle) / (high - low))
        return self._draw(int(seeds.generate_state(4)[0])).double() * deviation

    def _at(self, time: float) -> float:
        return round(min(max(time, self._start), self._end), DIGITS)
