"""The rules that space noise levels: (noise schedule, number of points) -> that many, the noisiest first.

Plain arithmetic on floats. Some give timesteps, some sigmas; `spacing.SCHEDULES` says which.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gesso.diffusion.beta import beta_quantile

if TYPE_CHECKING:
    from gesso.diffusion.schedule import NoiseSchedule

ALIGN_YOUR_STEPS = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
"""Sigmas found for SD 1.5 in ten steps, and where the walk ends (Sabour et al. 2024)."""


def uniform(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Timesteps evenly from T−1 to 0, fractional ones too (k-diffusion's ``get_sigmas``)."""
    return linspace(noise_schedule.steps - 1, 0, points)


def sgm_uniform(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Timesteps evenly from T−1, leaving the step to 0 away (Stability AI's generative-models)."""
    return linspace(noise_schedule.steps - 1, 0, points + 1)[:-1]


def simple(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Whole timesteps evenly down from T−1, the strides rounded down (ComfyUI's ``simple``)."""
    stride = noise_schedule.steps / points
    return [float(noise_schedule.steps - 1 - int(stride * k)) for k in range(points)]


def leading(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Every (T // points)-th timestep from 0, moved up by one: what SD 1.x was published with.

    A full walk of T points has no room to move up and visits each timestep once.
    """
    stride = noise_schedule.steps // points
    offset = min(1, noise_schedule.steps - 1 - stride * (points - 1))
    return [float(stride * k + offset) for k in reversed(range(points))]


def trailing(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Timesteps evenly down from T−1, leaving the short end at 0 (Lin et al. 2024, table 2)."""
    steps = float(noise_schedule.steps)
    stride = steps - (steps - steps / points)  # rounded as numpy's arange does, which decides the halves
    return [round(steps - stride * k) - 1.0 for k in range(points)]


def karras(noise_schedule: NoiseSchedule, points: int, rho: float = 7.0) -> list[float]:
    """Evenly in σ^(1/ρ) between the training extremes (Karras et al. 2022, equation 5)."""
    ends = noise_schedule.sigma_max ** (1 / rho), noise_schedule.sigma_min ** (1 / rho)
    return [root**rho for root in linspace(*ends, points)]


def exponential(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Evenly in log σ between the training extremes."""
    ends = math.log(noise_schedule.sigma_max), math.log(noise_schedule.sigma_min)
    return [math.exp(log_sigma) for log_sigma in linspace(*ends, points)]


def polyexponential(noise_schedule: NoiseSchedule, points: int, rho: float = 1.0) -> list[float]:
    """Evenly in the ρ-th root of how far log σ is from its least (k-diffusion); ρ = 1 is `exponential`."""
    high, low = math.log(noise_schedule.sigma_max), math.log(noise_schedule.sigma_min)
    return [math.exp(low + ramp**rho * (high - low)) for ramp in linspace(1.0, 0.0, points)]


def beta(noise_schedule: NoiseSchedule, points: int, a: float = 0.6, b: float = 0.6) -> list[float]:
    """Quantiles of a beta distribution over σ: dense at both ends (Lee et al. 2024, "Beta sampling").

    Over sigmas, as Diffusers and AUTOMATIC1111 do it; the paper's, and ComfyUI's, are over timesteps.
    """
    low, reach = noise_schedule.sigma_min, noise_schedule.sigma_max - noise_schedule.sigma_min
    return [low + reach * beta_quantile(p, a, b) for p in linspace(1.0, 0.0, points)]


def kl_optimal(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Evenly in arctan σ, which is best for Gaussian data (Sabour et al. 2024, theorem 3.1)."""
    ends = math.atan(noise_schedule.sigma_max), math.atan(noise_schedule.sigma_min)
    return [math.tan(angle) for angle in linspace(*ends, points)]


def align_your_steps(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """The sigmas found best for SD 1.5 (Sabour et al. 2024), interpolated in log σ but for ten steps.

    The published ends are the training extremes of SD 1.x, rounded: the model's own stand in their place.
    """
    high, low = noise_schedule.sigma_max, noise_schedule.sigma_min
    knots = [high, *(sigma for sigma in ALIGN_YOUR_STEPS[1:-1] if low < sigma < high), low]
    logs = [math.log(knot) for knot in knots]
    places = linspace(0.0, len(knots) - 1.0, points + 1)[:-1]
    return [math.exp(interpolated(logs, place)) for place in places]


def interpolated(values: list[float], place: float) -> float:
    """The value at a place between two indices, on the straight line between theirs."""
    low = min(int(place), len(values) - 2)
    return values[low] + (place - low) * (values[low + 1] - values[low])


def linspace(start: float, end: float, points: int) -> list[float]:
    """Evenly from start to end, both included; the start alone if there is one point."""
    if points == 1:
        return [start]
    stride = (end - start) / (points - 1)
    return [*(start + stride * k for k in range(points - 1)), end]
