"""Guidance by several prompts at once, and by others at each step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gesso.config import NoiseScheduleConfig
from gesso.diffusion.by_step import ByStep
from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.guidance import guide, needs_negative, pair_contexts
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.samplers.step import Denoise, Step
from gesso.diffusion.schedule import NoiseSchedule

NOISE_SCHEDULE = NoiseSchedule(NoiseScheduleConfig())


def says_its_context(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
    return context[:, 0, 0, None, None, None] * torch.ones_like(latents)


def contexts(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None]


def denoised(context: Tensor, guidance_scale: float, weights: tuple[float, ...], batch: int) -> list[float]:
    """What guidance makes of a network whose denoised latents at σ = 1 from x = 0 are −context."""
    denoise = guide(Denoiser(says_its_context, NOISE_SCHEDULE), context, guidance_scale, weights)
    out = denoise(torch.zeros(batch, 4, 2, 2), torch.tensor(1.0))
    assert out.shape == (batch, 4, 2, 2)
    return out[:, 0, 0, 0].neg().tolist()


def test_prompts_joined_add_their_directions() -> None:
    paired = pair_contexts(contexts(1, 2, 5, 7), contexts(10, 20))
    assert paired.flatten().tolist() == [10, 20, 1, 2, 5, 7]
    assert denoised(paired, 3.0, (1.0, 0.5), batch=2) == [
        10 + 3 * (1 - 10) + 1.5 * (5 - 10),
        20 + 3 * (2 - 20) + 1.5 * (7 - 20),
    ]


@pytest.mark.parametrize("weight", [-1.0, 0.0, 2.0])
def test_one_prompt_has_a_weight_too(weight: float) -> None:
    assert denoised(pair_contexts(contexts(1), contexts(10)), 2.0, (weight,), batch=1) == [
        10 + 2 * weight * (1 - 10)
    ]


def test_the_negative_is_needed_unless_it_cancels() -> None:
    assert not needs_negative(1.0)
    assert not needs_negative(1, (1,))
    assert needs_negative(7.5)
    assert needs_negative(0.0)
    assert needs_negative(1.0, (0.5,))
    assert needs_negative(1.0, (0.5, 0.5))


def test_two_halves_of_one_prompt_are_that_prompt() -> None:
    whole = denoised(pair_contexts(contexts(3), contexts(8)), 7.5, (1.0,), batch=1)
    halves = denoised(pair_contexts(contexts(3, 3), contexts(8)), 7.5, (0.5, 0.5), batch=1)
    assert halves == pytest.approx(whole)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_keeps_to_a_steps_function_for_the_whole_step(sampler: str) -> None:
    """However often it evaluates in one step."""
    steps = 5
    plan = make_plan(SAMPLERS[sampler], None, NOISE_SCHEDULE, steps)
    asked: list[list[int]] = [[] for _ in range(steps)]
    taken = 0

    def of_step(index: int) -> Denoise:
        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            asked[taken].append(index)
            return x / (1 + sigma)

        return denoise

    by_step = ByStep(of_step(index) for index in range(steps))
    noise = NoiseSource([0], (4, 2, 2))
    x = noise.start() * plan.starting_scale
    for step in by_step.follow(plan.sampler.function(by_step, x, plan.sigmas, noise)):
        assert step.index == taken
        taken += 1
    assert taken == steps
    assert [set(indices) for indices in asked] == [{index} for index in range(steps)]


def test_a_longer_walk_stays_with_the_last_function() -> None:
    by_step = ByStep([torch.add, torch.mul])  # of x and sigma
    x, sigma = torch.tensor(3.0), torch.tensor(5.0)
    steps = [Step(index, sigma, x, x) for index in range(3)]
    assert [float(by_step(x, sigma)), *(float(by_step(x, sigma)) for _ in by_step.follow(steps))] == [
        8,
        15,
        15,
        15,
    ]
