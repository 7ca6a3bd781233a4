"""DPM-Solver++ for the probability-flow ODE."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.ancestral import ancestral_sigmas
from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor


def sample_dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Tensor, _noise: Noise) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2): second order for one evaluation a step.

    In λ = −log σ the estimate is extrapolated to the middle of the step from the one before. The first
    step, and a last one to σ = 0, where the step in λ is infinite, are of first order.
    """
    last_denoised, last_h = None, None
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        h = (sigma / sigma_next).log()
        target = denoised
        if last_denoised is not None and last_h is not None and sigma_next > 0:
            target = denoised + h / (2 * last_h) * (denoised - last_denoised)
        x = target + sigma_next / sigma * (x - target)
        last_denoised, last_h = denoised, h
        yield Step(index, sigma_next, x, denoised)


def sample_dpmpp_2s_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """DPM-Solver++(2S) (Lu et al. 2022b, Algorithm 1) with ancestral noise (k-diffusion).

    Each step goes to the estimate made in its own middle in λ = −log σ: two evaluations a step, and one
    where it goes down to 0.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: draws fresh noise.
        eta: 0 (none) … 1 (as much as the forward process added).
        s_noise: deviation of the fresh noise.
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = target = denoise(x, sigma)
        sigma_down, sigma_up = ancestral_sigmas(sigma, sigma_next, eta)
        if sigma_down > 0:
            sigma_middle = (sigma * sigma_down).sqrt()
            target = denoise(denoised + sigma_middle / sigma * (x - denoised), sigma_middle)
        x = target + sigma_down / sigma * (x - target)
        if sigma_up > 0:
            x = x + sigma_up * (s_noise * noise())
        yield Step(index, sigma_next, x, denoised)
