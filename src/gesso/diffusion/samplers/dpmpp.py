"""DPM-Solver++."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

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
