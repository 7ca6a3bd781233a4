"""The chain of denoising diffusion models: DDIM's steps, and DDPM's, which they generalise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.ancestral import ancestral_sigmas
from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor


def sample_ddim(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 0.0
) -> Iterator[Step]:
    """Renoise the estimate, with the noise found and, for η > 0, some new (Song et al. 2021, equation 12).

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: draws fresh noise.
        eta: 0 (deterministic) … 1 (DDPM).
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        epsilon = (x - denoised) / sigma
        sigma_down, sigma_up = ancestral_sigmas(sigma, sigma_next, eta)
        x = denoised + sigma_down * epsilon
        if sigma_up > 0:
            x = x + sigma_up * noise()
        yield Step(index, sigma_next, x, denoised)


def sample_ddpm(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Iterator[Step]:
    """Draw from the posterior q(x_next | x, denoised) (Ho et al. 2020, Algorithm 2, β̃ of equation 7)."""
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        _, sigma_up = ancestral_sigmas(sigma, sigma_next, eta=1.0)
        x = denoised + (sigma_next / sigma) ** 2 * (x - denoised)
        if sigma_up > 0:
            x = x + sigma_up * noise()
        yield Step(index, sigma_next, x, denoised)
