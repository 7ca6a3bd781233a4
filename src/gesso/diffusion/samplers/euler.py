"""Euler steps, plain and ancestral."""

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


def sample_euler(
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
    """Euler steps along dx/dσ = (x − denoised) / σ (Karras et al. 2022, Algorithm 2, first order).

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
        denoised = denoise(x, sigma)
        x = x + (x - denoised) / sigma * (sigma_next - sigma)
        yield Step(index, sigma_next, x, denoised)


def sample_euler_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """Euler steps that go too far down and come back up with fresh noise (k-diffusion's Euler ancestral).

    The same walk as DDIM with the same η (Song et al. 2021, equation 12), from a continuous schedule.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: draws fresh noise.
        eta: 0 (none; plain Euler) … 1 (as much as the forward process added).
        s_noise: deviation of the fresh noise.
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        sigma_down, sigma_up = ancestral_sigmas(sigma, sigma_next, eta)
        x = x + (x - denoised) / sigma * (sigma_down - sigma)
        if sigma_up > 0:
            x = x + sigma_up * (s_noise * noise())
        yield Step(index, sigma_next, x, denoised)
