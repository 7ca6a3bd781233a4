"""One request's walk from noise to latents, as its sampler and its schedule want it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from gesso.diffusion.samplers import Sampler
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES, Rounding, Schedule
from gesso.errors import RequestError


@dataclass(frozen=True, eq=False)
class Plan:
    """Where to start, which noise levels to visit, and which timesteps to tell the network.

    Attributes:
        sampler: what walks.
        schedule: what spaced the sigmas.
        sigmas: (steps + 1,) float32 on the CPU, descending.
    """

    sampler: Sampler
    schedule: Schedule
    sigmas: Tensor

    @property
    def starting_scale(self) -> Tensor:
        """() what unit noise is multiplied with to be ``x`` at the first sigma, with no picture in it.

        Noise alone stands in for latents + σ · noise. At the largest sigma Karras et al. leave the latents'
        share away (σ); samplers of whole timesteps, and schedules that start lower, keep it (√(1+σ²)).
        """
        sigma = self.sigmas[0]
        if self.schedule.starts_at_max and not self.sampler.whole_timesteps:
            return sigma
        return (sigma**2 + 1) ** 0.5

    @property
    def rounding(self) -> Rounding:
        """What `Denoiser.rounded` is given."""
        return self.schedule.rounding if self.sampler.whole_timesteps else "none"

    def last(self, steps: int) -> Plan:
        """The last steps of this walk alone."""
        return replace(self, sigmas=self.sigmas[-1 - steps :])


def make_plan(
    sampler: Sampler, schedule: Schedule | None, noise_schedule: NoiseSchedule, steps: int
) -> Plan:
    """Plan a walk of so many steps.

    Args:
        sampler: from `SAMPLERS`.
        schedule: from `SCHEDULES`; None is the sampler's default.
        noise_schedule: the model's.
        steps: 1 … T.

    Raises:
        RequestError: more steps than training timesteps, or none.
    """
    if not 1 <= steps <= noise_schedule.steps:
        raise RequestError(
            f"{steps} is outside 1…{noise_schedule.steps}",
            f"Use between 1 and {noise_schedule.steps} steps.",
            where="steps",
        )
    schedule = schedule or SCHEDULES[sampler.default_schedule]
    sigmas = schedule(
        noise_schedule,
        steps,
        whole=sampler.whole_timesteps,
        spare=sampler.spares_last,
        end=0.0 if sampler.ends_at_zero else noise_schedule.sigma_min,
    )
    if sampler.knows_timesteps:
        sampler = replace(sampler, function=partial(sampler.function, noise_schedule=noise_schedule))
    return Plan(sampler, schedule, sigmas)
