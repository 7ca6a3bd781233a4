"""A request's walk, planned as its rules have it."""

from __future__ import annotations

from gesso.diffusion.plan import Plan, make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES
from gesso.pipeline.request import ResolvedRequest


def plan_walk(request: ResolvedRequest, noise_schedule: NoiseSchedule, steps: int) -> Plan:
    """The last so many steps of the walk that a request is planned over.

    Raises:
        RequestError: there are more steps than training timesteps.
    """
    plan = make_plan(
        SAMPLERS[request.sampler],
        SCHEDULES[request.schedule],
        noise_schedule,
        request.planned_steps,
        rules=request.sigma_rules,
        discard_penultimate=request.discard_penultimate,
    )
    return plan if steps == request.planned_steps else plan.last(steps)


def prompted_steps(request: ResolvedRequest, steps: int, before: int) -> int:
    """The steps that a prompt's choices are spread over, in a walk of so many after so many.

    Programs that count calls spread them over those asked for, even where a picture to start from leaves
    fewer.
    """
    return request.steps if request.prompt_timing == "calls" and not before else steps
