"""Heun's method."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor


def sample_heun(denoise: Denoise, x: Tensor, sigmas: Tensor, _noise: Noise) -> Iterator[Step]:
    """Euler steps corrected by the slope where they land (Karras et al. 2022, Algorithm 1).

    Two evaluations a step, and one for a last step to 0, where the slope is not defined.
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        slope = (x - denoised) / sigma
        landed = x + slope * (sigma_next - sigma)
        if sigma_next > 0:
            slope_there = (landed - denoise(landed, sigma_next)) / sigma_next
            landed = x + (slope + slope_there) / 2 * (sigma_next - sigma)
        x = landed
        yield Step(index, sigma_next, x, denoised)
