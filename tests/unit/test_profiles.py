"""Requests that draw as other programs do, and the fields in which that is written down."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

from gesso.config import SD15
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.rules import SIGMA_RULES
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES
from gesso.errors import RequestError
from gesso.pipeline.image_rules import IMAGE_RULES, steps_from_picture
from gesso.pipeline.profiles import PROFILES
from gesso.pipeline.reproduction_fields import REPRODUCTION_FIELDS
from gesso.pipeline.request import GenerationRequest


@pytest.mark.parametrize("program", PROFILES)
def test_every_profile_settles_every_custom(program: str) -> None:
    names = {*REPRODUCTION_FIELDS, "emphasis", "comma_backtrack"}
    assert set(PROFILES[program].customs) == names
    request = GenerationRequest.like(program, "a cat")
    assert {name: getattr(request, name) for name in names} == PROFILES[program].customs
    assert request == GenerationRequest.from_json({"prompt": "a cat", "like": program})
    assert request == GenerationRequest.from_json(request.to_json())


def test_a_request_without_a_profile_has_diffusers_customs() -> None:
    """But for the prompt language, which is AUTOMATIC1111's."""
    defaults = {entry.name: entry.default for entry in fields(GenerationRequest)}
    customs = PROFILES["diffusers"].customs
    assert {name for name in customs if customs[name] != defaults[name]} == {"emphasis"}


def test_fields_that_are_given_win() -> None:
    request = GenerationRequest.like("a1111", "", noise_source="cpu", steps=3, guidance_scale=None)
    assert (request.noise_source, request.steps, request.guidance_scale) == ("cpu", 3, None)
    assert request.sigma_rules == "a1111"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, ("euler", "normal")),
        ({"sampler": "dpmpp_2m"}, ("dpmpp_2m", "normal")),
        ({"sampler": "DPM++ 2M Karras"}, ("dpmpp_2m", "karras")),
        ({"sampler": "DPM++ 2M Karras", "schedule": "simple"}, ("dpmpp_2m", "simple")),
        ({"schedule": None}, ("euler", None)),
    ],
)
def test_a_schedule_in_the_samplers_label_is_given_too(
    given: dict[str, Any], meant: tuple[str, str]
) -> None:
    request = GenerationRequest.like("comfyui", "", **given)
    assert (request.sampler, request.schedule) == meant


@pytest.mark.parametrize(
    ("program", "counted", "layer"),
    [
        ("a1111", 1, 1),
        ("a1111", 2, 2),
        ("forge", 2, 2),
        ("comfyui", -1, 1),
        ("comfyui", -2, 2),
        ("comfyui", 2, 2),
        ("diffusers", 0, 1),
        ("diffusers", 1, 2),
    ],
)
def test_clip_skip_as_programs_count_it(program: str, counted: int, layer: int) -> None:
    assert GenerationRequest.like(program, "", clip_skip=counted).clip_skip == layer


@pytest.mark.parametrize(("program", "counted"), [("a1111", 0), ("a1111", -2), ("diffusers", -1)])
def test_clip_skip_that_no_program_has(program: str, counted: int) -> None:
    with pytest.raises(RequestError, match=r"^clip_skip: "):
        GenerationRequest.like(program, "", clip_skip=counted)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"like": "a111"},
            r'^like: no profile is called "a111"\. Did you mean "a1111"\? There are: a1111, ',
        ),
        ({"like": 3}, r"^like: 3 is not a name"),
        ({"noise_source": "gpu"}, r'^noise_source: "gpu" is unknown\. Use cpu, cuda, cpu_then_cuda\.'),
        ({"eta_seed_delta": 1.5}, r"^eta_seed_delta: 1.5 is not a whole number"),
        ({"batch_index": -1}, r"^batch_index: -1 is outside 0…4095"),
        ({"batch_index": 4095, "count": 2}, r"^batch_index: 4095 is outside 0…4094"),
        (
            {"sigma_rules": "comfyui"},
            r'^sigma_rules: "comfyui" is unknown\. Use diffusers, a1111, forge, comfy',
        ),
        ({"discard_penultimate": 1}, r"^discard_penultimate: 1 is neither true nor false"),
        ({"image_rules": None}, r"^image_rules: None is not a name"),
        ({"prompt_timing": "step"}, r'^prompt_timing: "step" is unknown'),
        (
            {"like": "a1111", "hires_scale": 2, "hires_strength": 0.01},
            r"^hires_strength: 20 steps at 0.01 are the last of 2,000, more than 1000",
        ),
        ({"pad_prompts": None}, r"^pad_prompts: None is neither true nor false"),
    ],
)
def test_refusals(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        GenerationRequest.from_json({"prompt": "", **given})


def test_pictures_of_a_batch_share_the_seed_and_know_their_place() -> None:
    request = GenerationRequest.like("comfyui", "", seed=5, count=4, batch_size=3).resolve(SD15)
    assert [request.seed_of(index) for index in range(4)] == [5] * 4
    assert [(batch.batch_index, batch.count) for batch in request.batches()] == [(0, 3), (3, 1)]
    assert (request.picture(2).batch_index, request.picture(2).seed) == (2, 5)


@pytest.mark.parametrize(
    ("rules", "strength", "second", "planned", "walked"),
    [
        ("diffusers", 0.55, False, 20, 11),
        ("diffusers", 1.0, True, 20, 20),
        ("a1111", 0.55, False, 20, 12),
        ("a1111", 0.01, False, 20, 1),
        ("a1111", 1.0, False, 20, 20),
        ("a1111", 0.55, True, 36, 20),
        ("comfy", 0.55, False, 36, 20),
        ("comfy", 1.0, False, 20, 20),
        ("comfy", 0.55, True, 36, 20),
    ],
)
def test_steps_from_a_picture(rules: str, strength: float, second: bool, planned: int, walked: int) -> None:
    assert steps_from_picture(20, strength, rules, second=second) == (planned, walked)
    assert rules in IMAGE_RULES


@pytest.mark.parametrize("rules", SIGMA_RULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_walks_along_every_schedule(rules: str, sampler: str) -> None:
    """Down, along finite noise levels, to finite latents."""
    schedule = NoiseSchedule()
    for name in SCHEDULES:
        for steps in (2, 3, 13):
            plan = make_plan(SAMPLERS[sampler], SCHEDULES[name], schedule, steps, rules=rules)
            assert (plan.sigmas.diff() <= 0).all(), (name, steps)
            noise = NoiseSource([3], (4, 2, 2))
            x = noise.start() * plan.starting_scale
            *_, last = plan.sampler.function(lambda x, s: 0.9 * x / (1 + s**2), x, plan.sigmas, noise)
            assert last.latents.isfinite().all(), (name, steps)


def test_a_walk_of_no_steps_is_refused() -> None:
    with pytest.raises(
        RequestError, match=r"^steps: ddim has nowhere to go in 1 step by the rules of a1111"
    ):
        make_plan(SAMPLERS["ddim"], None, NoiseSchedule(), 1, rules="a1111")


def test_all_training_timesteps_can_be_walked() -> None:
    for rules in SIGMA_RULES:
        for sampler in ("ddim", "dpm_2", "euler"):
            plan = make_plan(SAMPLERS[sampler], None, NoiseSchedule(), 1000, rules=rules)
            assert torch.isfinite(plan.sigmas).all()
            assert len(plan.sigmas) >= 1000
