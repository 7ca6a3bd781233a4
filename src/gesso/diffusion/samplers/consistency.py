"""Few-step samplers for models distilled to jump: latent consistency and trajectory consistency."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor

    from gesso.diffusion.schedule import NoiseSchedule


SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0


def sample_lcm(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, noise_schedule: NoiseSchedule
) -> Iterator[Step]:
    """Jump to the estimate and noise it anew (Luo et al. 2023, Algorithm 3; Song et al. 2023, Algorithm 1).

    For latent-consistency models, in 2 to 8 steps. The boundary scalings c_skip and c_out, which keep what
    is clean already, are those of the authors' code; they matter at the very first timesteps only.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending to 0.
        noise: draws fresh noise.
        noise_schedule: the model's, in whose timesteps the scalings are given.
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        scaled = TIMESTEP_SCALING * noise_schedule.timestep(sigma)
        c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        c_out = scaled / (scaled**2 + SIGMA_DATA**2).sqrt()
        x = c_out * denoised + c_skip * (x / (sigma**2 + 1).sqrt())
        if sigma_next > 0:
            x = x + sigma_next * noise()
        yield Step(index, sigma_next, x, denoised)


def sample_tcd(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    noise_schedule: NoiseSchedule,
    eta: float = 0.3,
) -> Iterator[Step]:
    """Jump below the next noise level and come back up with fresh noise (Zheng et al. 2024, Algorithm 2).

    For trajectory-consistency models: strategic stochastic sampling, which lands at a share 1 − γ of the
    next timestep.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending.
        noise: draws fresh noise.
        noise_schedule: the model's, in whose timesteps γ counts.
        eta: the paper's γ, 0 (deterministic) … 1 (as `sample_lcm`).
    """
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        sigma_down = noise_schedule.sigma(((1 - eta) * noise_schedule.timestep(sigma_next)).floor())
        sigma_down = sigma_down.minimum(sigma_next)
        x = denoised + sigma_down / sigma * (x - denoised)
        if sigma_next > sigma_down:
            x = x + (sigma_next**2 - sigma_down**2).sqrt() * noise()
        yield Step(index, sigma_next, x, denoised)
