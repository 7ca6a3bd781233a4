"""The named sigma schedules: at which noise levels a sampler stops on its way down.

Plain arithmetic on floats, so that listing and checking names needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from gesso.diffusion.schedule import NoiseSchedule

Rounding = Literal["none", "nearest", "below"]


@dataclass(frozen=True)
class Schedule:
    """A rule that spaces noise levels; calling it gives the sigmas.

    Attributes:
        name: what requests and files say.
        label: what AUTOMATIC1111 calls it.
        about: one line for people choosing.
        points: the rule: (noise schedule, number of points) -> that many points, the noisiest first.
        over: whether the points are timesteps or sigmas.
        reaches_zero: whether the last point is the least noisy timestep there is. Solvers that count
            the end of the walk as a point of the grid (DPM-Solver) space one more and drop that one.
        starts_at_max: whether the first point is the noisiest timestep, where latents are noise alone.
        rounding: how solvers that ask for whole timesteps get one for a sigma that lies between two.
    """

    name: str
    label: str
    about: str
    points: Callable[[NoiseSchedule, int], list[float]]
    over: Literal["timesteps", "sigmas"]
    reaches_zero: bool = False
    starts_at_max: bool = True
    rounding: Rounding = "nearest"

    def __call__(
        self,
        noise_schedule: NoiseSchedule,
        steps: int,
        *,
        whole: bool = False,
        spare: bool = False,
        end: float = 0.0,
    ) -> Tensor:
        """The sigmas a sampler walks along, descending, float32 on the CPU.

        Args:
            noise_schedule: the model's.
            steps: how many, 1 … T.
            whole: round points that are timesteps to whole ones.
            spare: space one point more and drop the least noisy, if there is one to spare.
            end: the last sigma.

        Returns:
            (steps + 1,) sigmas; the first ``steps`` of them are denoised at.
        """
        import torch

        spares = int(spare and self.reaches_zero and steps < noise_schedule.steps)
        points = torch.tensor(self.points(noise_schedule, steps + spares)[:steps], dtype=torch.float64)
        if self.over == "timesteps":
            points = noise_schedule.sigma(points.round() if whole else points)
        return torch.cat([points, points.new_tensor([end])]).float()


def uniform(noise_schedule: NoiseSchedule, points: int) -> list[float]:
    """Timesteps evenly from T−1 to 0, fractional ones too (k-diffusion's ``get_sigmas``)."""
    return linspace(noise_schedule.steps - 1, 0, points)


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


def linspace(start: float, end: float, points: int) -> list[float]:
    """Evenly from start to end, both included; the start alone if there is one point."""
    if points == 1:
        return [start]
    stride = (end - start) / (points - 1)
    return [*(start + stride * k for k in range(points - 1)), end]


SCHEDULES: dict[str, Schedule] = {
    schedule.name: schedule
    for schedule in (
        Schedule(
            name="uniform",
            label="Uniform",
            about="even in training timesteps",
            points=uniform,
            over="timesteps",
            reaches_zero=True,
        ),
        Schedule(
            name="leading",
            label="Leading",
            about="even in whole timesteps, counted from the clean end",
            points=leading,
            over="timesteps",
            reaches_zero=True,
            starts_at_max=False,
        ),
        Schedule(
            name="trailing",
            label="Trailing",
            about="even in whole timesteps, counted from the noisy end",
            points=trailing,
            over="timesteps",
        ),
        Schedule(
            name="karras",
            label="Karras",
            about="most steps at low noise, where details form",
            points=karras,
            over="sigmas",
        ),
        Schedule(
            name="exponential",
            label="Exponential",
            about="even in the logarithm of sigma",
            points=exponential,
            over="sigmas",
            rounding="below",  # Diffusers cuts these timesteps off where it rounds Karras's
        ),
    )
}
