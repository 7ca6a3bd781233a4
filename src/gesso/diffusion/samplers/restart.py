"""Restart: up again with fresh noise, and down once more, where that contracts errors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.heun import heun_step
from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor

RESTART_LOW = 0.1
RESTART_HIGH = 2.0
RHO = 7.0
FEWEST_STEPS = 20
MANY_STEPS = 36


def sample_restart(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, s_noise: float = 1.0
) -> Iterator[Step]:
    """Heun's method with restarts between σ = 0.1 and 2 (Xu et al. 2023, Algorithm 1).

    The steps of the restarts are part of the number asked for, in AUTOMATIC1111's shares: from 20 steps on,
    nine go into one restart, from 36 on half of them into two; a shorter walk has none. What is left walks
    along the same schedule with fewer points.

    Args:
        denoise: estimates the clean latents.
        x: (b, 4, h, w) noisy latents at the first sigma.
        sigmas: (steps + 1,) descending to 0.
        noise: draws fresh noise.
        s_noise: deviation of the fresh noise.
    """
    reached = sigmas[0]
    for index, (sigma, sigma_next) in enumerate(restart_walk(sigmas)):
        if sigma > reached:
            x = x + (sigma**2 - reached**2).sqrt() * (s_noise * noise())
        x, denoised = heun_step(denoise, x, sigma, sigma_next)
        reached = sigma_next
        yield Step(index, sigma_next, x, denoised)


def restart_walk(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """As many steps as ``sigmas`` has: one that starts above where the last ended is a restart."""
    steps = len(sigmas) - 1
    length, times = (9, 1) if steps < MANY_STEPS else (steps // 4, 2)
    if steps < FEWEST_STEPS:
        return list(pairwise(sigmas))
    points = respaced(sigmas[:-1], steps - length * times)
    low, high = (int((points - sigma).abs().argmin()) for sigma in (RESTART_LOW, RESTART_HIGH))
    if high >= low:  # the schedule has no room between the two
        return list(pairwise(sigmas))
    main = [*points, sigmas[-1]]
    again = respaced(points[[high, low]], length + 1)
    return [*pairwise(main[: low + 1]), *[*pairwise(again)] * times, *pairwise(main[low:])]


def respaced(sigmas: Tensor, points: int) -> Tensor:
    """The same descent with another number of points, interpolated in σ^(1/7), where Karras's is even."""
    roots = sigmas.double() ** (1 / RHO)
    places = roots.new_tensor([(len(sigmas) - 1) * k / (points - 1) for k in range(points)])
    low = places.long().clamp(max=len(sigmas) - 2)
    between = (roots[low].lerp(roots[low + 1], places - low) ** RHO).to(sigmas.dtype)
    between[[0, -1]] = sigmas[[0, -1]]  # exactly: the least rise would be a restart
    return between
