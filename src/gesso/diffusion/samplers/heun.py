"""Heun's method."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.churn import Churn
from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor


def sample_heun(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Iterator[Step]:
    """Euler steps corrected by the slope where they land (Karras et al. 2022, Algorithm 2).

    Two evaluations a step, and one for a last step to 0, where the slope is not defined.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: draws fresh noise.
        s_churn: how much noise to add on the way, as s_tmin, s_tmax and s_noise say (see `Churn`).
    """
    churn = Churn(len(sigmas) - 1, s_churn, s_tmin, s_tmax, s_noise)
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        x, sigma = churn.raised(x, sigma, noise)
        x, denoised = heun_step(denoise, x, sigma, sigma_next)
        yield Step(index, sigma_next, x, denoised)


def heun_step(denoise: Denoise, x: Tensor, sigma: Tensor, sigma_next: Tensor) -> tuple[Tensor, Tensor]:
    """One step of Heun's method; a step to 0 is Euler's.

    Returns:
        ``x`` at the next sigma, and the estimate made at this one.
    """
    denoised = denoise(x, sigma)
    slope = (x - denoised) / sigma
    landed = x + slope * (sigma_next - sigma)
    if sigma_next > 0:
        slope_there = (landed - denoise(landed, sigma_next)) / sigma_next
        landed = x + (slope + slope_there) / 2 * (sigma_next - sigma)
    return landed, denoised
