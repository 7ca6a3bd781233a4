"""DPM-Solver++ for the reverse SDE: fresh noise in every step, all of it from one Brownian motion.

Lu et al. 2022b give the first two orders (Algorithms 1 and 2 of section 5, in λ = −log σ); that the share
of noise is an option η, the third order and the motion are k-diffusion's (Katherine Crowson).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.ancestral import ancestral_sigmas
from gesso.diffusion.samplers.step import Denoise, Noise, NoiseBetween, Step

if TYPE_CHECKING:
    from torch import Tensor


def sample_dpmpp_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """SDE-DPM-Solver++ of the second order, one step at a time: k-diffusion's DPM++ SDE.

    Each step goes to the estimate made in its own middle in λ, which is reached with noise too: two
    evaluations a step, and one for a last step to 0.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: gives the Brownian motion.
        eta: 0 (none) … 1 (as much as the forward process added).
        s_noise: deviation of the fresh noise.
    """
    between = motion(noise, sigmas)
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = target = denoise(x, sigma)
        if sigma_next > 0:
            sigma_middle = (sigma * sigma_next).sqrt()
            sigma_down, sigma_up = ancestral_sigmas(sigma, sigma_middle, eta)
            halfway = denoised + sigma_down / sigma * (x - denoised)
            if sigma_up > 0:
                halfway = halfway + sigma_up * (s_noise * between(sigma, sigma_middle))
            target = denoise(halfway, sigma_middle)
        sigma_down, sigma_up = ancestral_sigmas(sigma, sigma_next, eta)
        x = target + sigma_down / sigma * (x - target)
        if sigma_up > 0:
            x = x + sigma_up * (s_noise * between(sigma, sigma_next))
        yield Step(index, sigma_next, x, denoised)


def sample_dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    integrated: bool = False,
) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M): second order for one evaluation a step.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: gives the Brownian motion.
        eta: 0 (none; DPM++ 2M) … 1 (as much as the forward process added).
        s_noise: deviation of the fresh noise.
        integrated: whether the estimate's trend is integrated over the step; else taken in its middle.
    """
    between = motion(noise, sigmas)
    last_denoised, last_h = None, math.nan
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = target = denoise(x, sigma)
        h = log_ratio(sigma, sigma_next)
        kept = math.exp(-h * (1 + eta))  # the share of the old latents' distance to the target
        if last_denoised is not None and sigma_next > 0:
            trend = (denoised - last_denoised) * (h / last_h)
            share = phi_2(h * (1 + eta)) / (1 - kept) if integrated else 0.5
            target = denoised + share * trend
        x = target + kept * (x - target)
        if sigma_next > 0 and eta > 0:
            x = x + fresh_deviation(sigma_next, eta * h) * (s_noise * between(sigma, sigma_next))
        last_denoised, last_h = denoised, h
        yield Step(index, sigma_next, x, denoised)


def sample_dpmpp_2m_sde_heun(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """`sample_dpmpp_2m_sde` with the trend integrated: k-diffusion's ``solver_type="heun"``."""
    return sample_dpmpp_2m_sde(denoise, x, sigmas, noise, eta=eta, s_noise=s_noise, integrated=True)


def sample_dpmpp_3m_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Step]:
    """SDE-DPM-Solver++(3M): third order for one evaluation a step (k-diffusion's DPM++ 3M SDE).

    The estimate is extrapolated by the parabola through the last three, in λ. The first step, and a last
    one to 0, are of first order, the second of second.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: gives the Brownian motion.
        eta: 0 (none) … 1 (as much as the forward process added).
        s_noise: deviation of the fresh noise.
    """
    between = motion(noise, sigmas)
    past: deque[tuple[Tensor, float]] = deque(
        maxlen=2
    )  # estimates and the λ-steps after them, newest first
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        h = log_ratio(sigma, sigma_next)
        h_eta = h * (1 + eta)
        x = denoised + math.exp(-h_eta) * (x - denoised)
        if past and sigma_next > 0:
            slope, curvature = derivatives(denoised, past)
            x = x + phi_2(h_eta) * h * slope - phi_3(h_eta) * h**2 * curvature
        if sigma_next > 0 and eta > 0:
            x = x + fresh_deviation(sigma_next, eta * h) * (s_noise * between(sigma, sigma_next))
        past.appendleft((denoised, h))
        yield Step(index, sigma_next, x, denoised)


def derivatives(denoised: Tensor, past: deque[tuple[Tensor, float]]) -> tuple[Tensor, Tensor | float]:
    """How the estimate changes with λ, by divided differences over the last three.

    Returns:
        Its slope here, and half its second derivative, 0 where there is only one estimate behind.
    """
    (before, h), *earlier = past
    slope = (denoised - before) / h
    if not earlier:
        return slope, 0.0
    long_before, h_before = earlier[0]
    curvature = (slope - (before - long_before) / h_before) / (h + h_before)
    return slope + curvature * h, curvature


def motion(noise: Noise, sigmas: Tensor) -> NoiseBetween:
    """The Brownian motion of a walk, from its smallest noise level above 0 to its largest."""
    return noise.brownian(float(sigmas[sigmas > 0].min()), float(sigmas.max()))


def log_ratio(sigma: Tensor, sigma_next: Tensor) -> float:
    """The step in λ = −log σ; infinite to 0."""
    return math.log(float(sigma) / float(sigma_next)) if sigma_next > 0 else math.inf


def fresh_deviation(sigma_next: Tensor, eta_h: float) -> float:
    """Of the noise that a step with η·h adds: σ_next·√(1 − e^(−2ηh))."""
    return float(sigma_next) * math.sqrt(-math.expm1(-2 * eta_h))


def phi_2(h: float) -> float:
    """φ₂ of exponential integrators at −h, times h: 1 − (1 − e^(−h))/h."""
    return 1 + math.expm1(-h) / h


def phi_3(h: float) -> float:
    """φ₃ likewise: φ₂/h − 1/2, below 0."""
    return phi_2(h) / h - 0.5
