"""DEIS."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor

FEW_STEPS = 15
"""Walks of fewer steps end with one of first order, which is steadier there (as Diffusers has it)."""


def sample_deis(denoise: Denoise, x: Tensor, sigmas: Tensor, _noise: Noise) -> Iterator[Step]:
    """DEIS with Adams–Bashforth weights of order 2 (Zhang and Chen 2023, ρAB-DEIS, Algorithm 1).

    The noise found is extrapolated from the last two steps, straight in log σ ("log-ρ"), and integrated
    over the step exactly. The first step is Euler's, which is DDIM's.
    """
    steps = len(sigmas) - 1
    levels = sigmas.tolist()
    last_slope = None
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        slope = (x - denoised) / sigma
        if last_slope is None or (index == steps - 1 and steps < FEW_STEPS):
            x = x + (sigma_next - sigma) * slope
        else:
            before, here, there = levels[index - 1 : index + 2]
            x = x + log_weight(here, before, here, there) * slope
            x = x + log_weight(before, here, here, there) * last_slope
        last_slope = slope
        yield Step(index, sigma_next, x, denoised)


def log_weight(node: float, other: float, start: float, end: float) -> float:
    """The integral over start … end of the line in log σ that is 1 at a node and 0 at the other."""

    def primitive(sigma: float) -> float:
        return sigma * (math.log(sigma / other) - 1) if sigma > 0 else 0.0

    return (primitive(end) - primitive(start)) / math.log(node / other)
