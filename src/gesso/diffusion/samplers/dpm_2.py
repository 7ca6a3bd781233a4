"""DPM-Solver-2: the slope in the middle of a step, plain and ancestral."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.ancestral import ancestral_sigmas
from gesso.diffusion.samplers.churn import Churn
from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor


def sample_dpm_2(
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
    """Step along the slope at the step's middle in log σ (after Lu et al. 2022a, DPM-Solver-2).

    The midpoint is that of their Algorithm 1, the step k-diffusion's: straight in σ, with the churn of
    Karras et al. 2022, Algorithm 2. Two evaluations a step, and one for a last step to 0.

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
        x, denoised = midpoint_step(denoise, x, sigma, sigma_next)
        yield Step(index, sigma_next, x, denoised)


def sample_dpm_2_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """`sample_dpm_2`'s steps, which go too far down and come back up with fresh noise (k-diffusion).

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: draws fresh noise.
        eta: 0 (none) … 1 (as much as the forward process added).
        s_noise: deviation of the fresh noise.
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        sigma_down, sigma_up = ancestral_sigmas(sigma, sigma_next, eta)
        x, denoised = midpoint_step(denoise, x, sigma, sigma_down)
        if sigma_up > 0:
            x = x + sigma_up * (s_noise * noise())
        yield Step(index, sigma_next, x, denoised)


def midpoint_step(denoise: Denoise, x: Tensor, sigma: Tensor, sigma_next: Tensor) -> tuple[Tensor, Tensor]:
    """One step along the slope at √(σ·σ_next); a step to 0, which has no such middle, is Euler's.

    Returns:
        ``x`` at the next sigma, and the estimate made at this one.
    """
    denoised = denoise(x, sigma)
    slope = (x - denoised) / sigma
    if sigma_next > 0:
        sigma_middle = (sigma * sigma_next).sqrt()
        halfway = x + slope * (sigma_middle - sigma)
        slope = (halfway - denoise(halfway, sigma_middle)) / sigma_middle
    return x + slope * (sigma_next - sigma), denoised
