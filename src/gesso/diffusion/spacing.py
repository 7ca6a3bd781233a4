"""The named sigma schedules: at which noise levels a sampler stops on its way down.

Plain arithmetic on floats, so that listing and checking names needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gesso.diffusion import points

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
        rounds_down: whether points that are timesteps are made whole for them by rounding down, as they are
            where the schedule comes from, and not to the nearest.
    """

    name: str
    label: str
    about: str
    points: Callable[[NoiseSchedule, int], list[float]]
    over: Literal["timesteps", "sigmas"]
    reaches_zero: bool = False
    starts_at_max: bool = True
    rounding: Rounding = "nearest"
    rounds_down: bool = False

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
            whole_points = points.floor() if self.rounds_down else points.round()
            points = noise_schedule.sigma(whole_points if whole else points)
        return torch.cat([points, points.new_tensor([end])]).float()


SCHEDULES: dict[str, Schedule] = {
    schedule.name: schedule
    for schedule in (
        Schedule(
            name="uniform",
            label="Uniform",
            about="even in training timesteps",
            points=points.uniform,
            over="timesteps",
            reaches_zero=True,
        ),
        Schedule(
            name="leading",
            label="Leading",
            about="even in whole timesteps, counted from the clean end",
            points=points.leading,
            over="timesteps",
            reaches_zero=True,
            starts_at_max=False,
        ),
        Schedule(
            name="trailing",
            label="Trailing",
            about="even in whole timesteps, counted from the noisy end",
            points=points.trailing,
            over="timesteps",
        ),
        Schedule(
            name="karras",
            label="Karras",
            about="most steps at low noise, where details form",
            points=points.karras,
            over="sigmas",
        ),
        Schedule(
            name="exponential",
            label="Exponential",
            about="even in the logarithm of sigma",
            points=points.exponential,
            over="sigmas",
            rounding="below",  # Diffusers cuts these timesteps off where it rounds Karras's
        ),
        Schedule(
            name="polyexponential",
            label="Polyexponential",
            about="exponential with k-diffusion's exponent, which is 1: the same",
            points=points.polyexponential,
            over="sigmas",
            rounding="below",
        ),
        Schedule(
            name="sgm_uniform",
            label="SGM Uniform",
            about="even in training timesteps, short of the clean end",
            points=points.sgm_uniform,
            over="timesteps",
            rounds_down=True,
        ),
        Schedule(
            name="simple",
            label="Simple",
            about="even in whole timesteps, rounded up; much like trailing",
            points=points.simple,
            over="timesteps",
        ),
        Schedule(
            name="normal",
            label="Normal",
            about="ComfyUI's word for uniform",
            points=points.uniform,
            over="timesteps",
            reaches_zero=True,
        ),
        Schedule(
            name="ddim_uniform",
            label="DDIM",
            about="ComfyUI's word for leading",
            points=points.leading,
            over="timesteps",
            reaches_zero=True,
            starts_at_max=False,
        ),
        Schedule(
            name="beta",
            label="Beta",
            about="most steps at both ends, fewest between",
            points=points.beta,
            over="sigmas",
            rounding="below",  # as for exponential
        ),
        Schedule(
            name="kl_optimal",
            label="KL Optimal",
            about="even in the arc tangent of sigma",
            points=points.kl_optimal,
            over="sigmas",
        ),
        Schedule(
            name="ays",
            label="Align Your Steps",
            about="found by optimisation for SD 1.5 in ten steps",
            points=points.align_your_steps,
            over="sigmas",
        ),
    )
}
