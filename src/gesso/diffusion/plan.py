"""One request's walk from noise to latents, as its sampler and its schedule want it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from gesso.diffusion.rules import FIRST_CHAIN, SIGMA_RULES, Grid, SigmaRules
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
        full_scale: whether noise alone is scaled as the noise and the latents it stands in for together.
        rounding: what `Denoiser.rounded` is given.
    """

    sampler: Sampler
    schedule: Schedule
    sigmas: Tensor
    full_scale: bool
    rounding: Rounding

    @property
    def starting_scale(self) -> Tensor:
        """() what unit noise is multiplied with to be ``x`` at the first sigma, with no picture in it.

        Noise alone stands in for latents + σ · noise. At the largest sigma Karras et al. leave the latents'
        share away (σ); samplers of whole timesteps, and schedules that start lower, keep it (√(1+σ²)).
        """
        sigma = self.sigmas[0]
        return (sigma**2 + 1) ** 0.5 if self.full_scale else sigma

    def last(self, steps: int) -> Plan:
        """The last steps of this walk alone."""
        return replace(self, sigmas=self.sigmas[-1 - steps :])


def make_plan(
    sampler: Sampler,
    schedule: Schedule | None,
    noise_schedule: NoiseSchedule,
    steps: int,
    *,
    rules: str = "diffusers",
    discard_penultimate: bool | None = None,
) -> Plan:
    """Plan a walk of so many steps.

    Args:
        sampler: from `SAMPLERS`.
        schedule: from `SCHEDULES`; None is the sampler's default.
        noise_schedule: the model's.
        steps: 1 … T. Some rules make a few more or fewer of them.
        rules: a name of `SIGMA_RULES`: whose customs it follows.
        discard_penultimate: whether to space one sigma more and drop the last but one; None is as the rules
            have it for this sampler.

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
    customs = SIGMA_RULES[rules]
    discards = sampler.name in customs.discards if discard_penultimate is None else discard_penultimate
    spaced = min(steps + discards, noise_schedule.steps)
    if rules == "diffusers" or sampler.name in customs.left_alone:
        plan = _plan_as_diffusers(sampler, schedule, noise_schedule, spaced)
    else:
        plan = _plan_by(customs, sampler, schedule, noise_schedule, spaced)
    if len(plan.sigmas) < 2:
        raise RequestError(
            f"{sampler.name} has nowhere to go in {steps} step by the rules of {rules}",
            "Use 2 steps or more.",
            where="steps",
        )
    if spaced > steps and sampler.name not in customs.chains:
        plan = replace(plan, sigmas=torch.cat([plan.sigmas[:-2], plan.sigmas[-1:]]))
    if sampler.knows_timesteps:
        sampler = replace(sampler, function=partial(sampler.function, noise_schedule=noise_schedule))
    return replace(plan, sampler=sampler)


def _plan_as_diffusers(
    sampler: Sampler, schedule: Schedule, noise_schedule: NoiseSchedule, steps: int
) -> Plan:
    sigmas = schedule(
        noise_schedule,
        steps,
        whole=sampler.whole_timesteps,
        spare=sampler.spares_last,
        end=0.0 if sampler.ends_at_zero else noise_schedule.sigma_min,
    )
    full_scale = sampler.whole_timesteps or not schedule.starts_at_max
    return Plan(
        sampler, schedule, sigmas, full_scale, schedule.rounding if sampler.whole_timesteps else "none"
    )


def _plan_by(
    rules: SigmaRules, sampler: Sampler, schedule: Schedule, noise_schedule: NoiseSchedule, steps: int
) -> Plan:
    chain = sampler.name in rules.chains
    grid = FIRST_CHAIN if chain else rules.grids.get(schedule.name, Grid(schedule.points, schedule.over))
    points = torch.tensor(grid.points(noise_schedule, steps), dtype=torch.float64)
    if grid.over == "timesteps":
        points = noise_schedule.sigma(points).double()
    sigmas = (points if grid.has_end else torch.cat([points, points.new_zeros(1)])).float()
    at_max = bool(sigmas[0] >= noise_schedule.sigma_max * (1 - 1e-5))
    return Plan(sampler, schedule, sigmas, chain or (rules.full_scale and at_max), rules.rounding)
