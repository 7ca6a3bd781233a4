"""The algebra of noise: schedules, plans, guidance, seeds, names, samplers where the answer is known."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gesso.config import NoiseScheduleConfig
from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.guidance import guide, pair_contexts
from gesso.diffusion.names import resolve_sampler, resolve_schedule
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS, Sampler, Step
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES, Schedule
from gesso.errors import RequestError

NOISE_SCHEDULE = NoiseSchedule()
SHAPE = (4, 3, 5)


# --- the noise schedule -----------------------------------------------------------------------------


def test_sigmas_of_stable_diffusion() -> None:
    assert NOISE_SCHEDULE.steps == 1000
    assert pytest.approx(14.6146, abs=5e-5) == NOISE_SCHEDULE.sigma_max
    assert pytest.approx(0.0292, abs=5e-5) == NOISE_SCHEDULE.sigma_min
    assert (NOISE_SCHEDULE.sigmas.diff() > 0).all()
    assert NOISE_SCHEDULE.sigmas.dtype == torch.float32


def test_whole_timesteps_map_both_ways_exactly() -> None:
    timesteps = torch.arange(1000.0)
    assert torch.equal(NOISE_SCHEDULE.sigma(timesteps), NOISE_SCHEDULE.sigmas)
    assert torch.equal(NOISE_SCHEDULE.timestep(NOISE_SCHEDULE.sigmas), timesteps)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 999))
def test_fractional_timesteps_map_both_ways(timestep: float) -> None:
    back = NOISE_SCHEDULE.timestep(NOISE_SCHEDULE.sigma(torch.tensor(timestep)))
    assert float(back) == pytest.approx(timestep, abs=1e-3)


def test_timesteps_are_clamped_at_both_ends() -> None:
    assert NOISE_SCHEDULE.timestep(torch.tensor([0.0, 0.01, 20.0])).tolist() == [0, 0, 999]
    ends = NOISE_SCHEDULE.sigma(torch.tensor([-3.0, 1000.0])).tolist()
    assert ends == [NOISE_SCHEDULE.sigma_min, NOISE_SCHEDULE.sigma_max]


# --- spaced sigmas and plans ------------------------------------------------------------------------


BY_HABITS = {(s.whole_timesteps, s.ends_at_zero, s.spares_last): s for s in SAMPLERS.values()}.values()


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=lambda schedule: schedule.name)
@pytest.mark.parametrize("sampler", BY_HABITS, ids=lambda sampler: sampler.name)
@settings(max_examples=12, deadline=None)
@given(steps=st.integers(1, 1000) | st.sampled_from([1, 2, 499, 500, 501, 999, 1000]))
def test_sigmas_descend(sampler: Sampler, schedule: Schedule, steps: int) -> None:
    sigmas = make_plan(sampler, schedule, NOISE_SCHEDULE, steps).sigmas
    assert sigmas.shape == (steps + 1,)
    assert sigmas.dtype == torch.float32
    assert (sigmas[:-1].diff() < 0).all()
    assert sigmas[-2] >= sigmas[-1]
    assert float(sigmas[-1]) == (0 if sampler.ends_at_zero else NOISE_SCHEDULE.sigma_min)
    assert sigmas[:-1].min() >= NOISE_SCHEDULE.sigma_min * (1 - 1e-6)
    assert sigmas.max() <= NOISE_SCHEDULE.sigma_max * (1 + 1e-6)
    if schedule.starts_at_max:
        assert float(sigmas[0]) == pytest.approx(NOISE_SCHEDULE.sigma_max, rel=1e-6)


def timesteps_of(schedule: str, steps: int) -> list[float]:
    sigmas = SCHEDULES[schedule](NOISE_SCHEDULE, steps)
    assert sigmas[-1] == 0
    return NOISE_SCHEDULE.timestep(sigmas[:-1]).tolist()


def test_timesteps_visited() -> None:
    assert timesteps_of("uniform", 4) == [999, 666, 333, 0]
    assert timesteps_of("leading", 4) == [751, 501, 251, 1]
    assert timesteps_of("trailing", 4) == [999, 749, 499, 249]
    assert timesteps_of("leading", 1000) == list(reversed(range(1000)))


def test_one_step_starts_at_the_noisy_end() -> None:
    for name, schedule in SCHEDULES.items():
        if schedule.starts_at_max:
            assert timesteps_of(name, 1) == [999]


def test_karras_is_even_in_the_seventh_root_and_exponential_in_the_logarithm() -> None:
    roots = SCHEDULES["karras"](NOISE_SCHEDULE, 10)[:-1] ** (1 / 7)
    assert torch.allclose(roots.diff(), roots.diff().mean(), rtol=1e-4)
    logs = SCHEDULES["exponential"](NOISE_SCHEDULE, 10)[:-1].log()
    assert torch.allclose(logs.diff(), logs.diff().mean(), rtol=1e-4)


def test_default_schedules() -> None:
    defaults = {name: sampler.default_schedule for name, sampler in SAMPLERS.items()}
    assert {name for name, default in defaults.items() if default == "leading"} == {"ddim", "ddpm", "plms"}
    karras = {"dpmpp_2m", "dpmpp_sde", "dpmpp_2s_ancestral", "dpm_2", "dpm_2_ancestral", "restart"}
    assert {name for name, default in defaults.items() if default == "karras"} == karras
    exponential = {"dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"}
    assert {name for name, default in defaults.items() if default == "exponential"} == exponential
    plan = make_plan(SAMPLERS["dpmpp_2m"], None, NOISE_SCHEDULE, 5)
    assert plan.schedule is SCHEDULES["karras"]


def test_the_start_has_the_spread_of_what_it_stands_for() -> None:
    euler = make_plan(SAMPLERS["euler"], None, NOISE_SCHEDULE, 5)
    assert float(euler.starting_scale) == NOISE_SCHEDULE.sigma_max
    ddim = make_plan(SAMPLERS["ddim"], None, NOISE_SCHEDULE, 5)
    first = Step(0, ddim.sigmas[0], ddim.starting_scale * torch.ones(1, *SHAPE), torch.zeros(1, *SHAPE))
    assert torch.allclose(first.latents, torch.ones(1, *SHAPE))


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_steps(steps: int) -> None:
    with pytest.raises(RequestError, match=rf"^steps: {steps} is outside 1…1000"):
        make_plan(SAMPLERS["euler"], None, NOISE_SCHEDULE, steps)


def test_a_short_training_schedule() -> None:
    short = NoiseSchedule(NoiseScheduleConfig(steps=20, beta_schedule="linear"))
    for schedule in SCHEDULES.values():
        for steps in range(1, 21):
            assert (make_plan(SAMPLERS["dpmpp_2m"], schedule, short, steps).sigmas.diff() < 0).all()


# --- denoiser and guidance --------------------------------------------------------------------------


def test_both_predictions_say_the_same() -> None:
    """A perfect network of either kind recovers the latents it has seen."""
    latents, noise = torch.randn(2, 2, *SHAPE).unbind()
    sigma = NOISE_SCHEDULE.sigmas[400]
    alpha_cumprod = NOISE_SCHEDULE.alphas_cumprod[400]
    v = alpha_cumprod.sqrt() * noise - (1 - alpha_cumprod).sqrt() * latents
    for output, prediction in ((noise, "epsilon"), (v, "v")):
        seen: list[Tensor] = []

        def network(scaled: Tensor, timesteps: Tensor, context: Tensor, seen=seen, output=output) -> Tensor:
            seen.extend([scaled, timesteps])
            return output

        denoised = Denoiser(network, NOISE_SCHEDULE, prediction)(
            latents + sigma * noise, sigma, torch.zeros(2, 1, 1)
        )
        assert torch.allclose(denoised, latents, atol=1e-5)
        expected = alpha_cumprod.sqrt() * latents + (1 - alpha_cumprod).sqrt() * noise
        assert torch.allclose(seen[0], expected, atol=1e-6)
        assert seen[1].tolist() == [400, 400]
        assert seen[1].dtype == torch.float32


def test_the_network_computes_in_the_precision_of_its_context() -> None:
    def network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        assert latents.dtype == context.dtype == torch.bfloat16
        assert timesteps.dtype == torch.float32
        return latents

    denoiser = Denoiser(network, NOISE_SCHEDULE)
    denoised = denoiser(
        torch.ones(1, *SHAPE), torch.tensor(2.0), torch.zeros(1, 1, 1, dtype=torch.bfloat16)
    )
    assert denoised.dtype == torch.float32


def test_rounding_of_timesteps() -> None:
    def timestep(rounding: str, at: float) -> float:
        told: list[float] = []

        def network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
            told.append(float(timesteps[0]))
            return latents

        denoiser = Denoiser(network, NOISE_SCHEDULE).rounded(rounding)  # pyright: ignore[reportArgumentType]
        denoiser(torch.zeros(1, *SHAPE), NOISE_SCHEDULE.sigma(torch.tensor(at)), torch.zeros(1, 1, 1))
        return told[0]

    assert timestep("none", 12.7) == pytest.approx(12.7, abs=1e-4)
    assert timestep("nearest", 12.7) == 13
    assert timestep("below", 12.7) == 12
    assert timestep("below", 13) == 12
    assert timestep("below", 0) == 0


def says_its_context(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
    return context[:, 0, 0, None, None, None] * torch.ones_like(latents)


def test_guidance_leads_from_the_negative_to_the_positive() -> None:
    context, negative = torch.tensor([1.0, 2.0])[:, None, None], torch.tensor([10.0, 20.0])[:, None, None]
    paired = pair_contexts(context, negative)
    assert paired.flatten().tolist() == [10, 20, 1, 2]
    denoise = guide(Denoiser(says_its_context, NOISE_SCHEDULE), paired, guidance_scale=3.0)
    denoised = denoise(torch.zeros(2, *SHAPE), torch.tensor(1.0))  # epsilon = −denoised / σ
    assert denoised[:, 0, 0, 0].tolist() == [-(10 + 3 * (1 - 10)), -(20 + 3 * (2 - 20))]


def test_without_guidance_the_network_sees_each_picture_once() -> None:
    batches: list[int] = []

    def network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        batches.extend([len(latents), len(timesteps), len(context)])
        return latents

    guide(Denoiser(network, NOISE_SCHEDULE), torch.zeros(3, 1, 1), 1.0)(
        torch.zeros(3, *SHAPE), torch.tensor(1.0)
    )
    assert batches == [3, 3, 3]


# --- seeded noise -----------------------------------------------------------------------------------


def test_a_batch_draws_what_its_pictures_draw_alone() -> None:
    seeds = [5, 6, 7, 8]
    batch = NoiseSource(seeds, SHAPE)
    alone = [NoiseSource([seed], SHAPE) for seed in seeds]
    assert torch.equal(batch.start(), torch.cat([noise.start() for noise in alone]))
    assert torch.equal(batch(), torch.cat([noise() for noise in alone]))


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_every_seed_of_64_bits(seed: int) -> None:
    expected = torch.randn((1, *SHAPE), generator=torch.Generator("cpu").manual_seed(seed))
    assert torch.equal(NoiseSource([seed], SHAPE)(), expected)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(RequestError, match=rf"^seed: {seed} is outside"):
        NoiseSource([3, seed], SHAPE)


def test_noise_is_drawn_in_float32_and_then_cast() -> None:
    half = NoiseSource([3], SHAPE, dtype=torch.float16)()
    assert torch.equal(half, NoiseSource([3], SHAPE)().half())


# --- samplers ---------------------------------------------------------------------------------------


FEW_STEP = ("lcm", "tcd")  # jumps, which only models made for them get right
JUMPY = (
    "ddpm",
    "lcm",
    "tcd",
    "restart",
)  # with noise whatever their options say, or at whole timesteps only


def gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    """The best estimate of latents that are N(0, 1): the path x ∝ √(1+σ²) is known."""
    return x / (1 + sigma**2)


def walk(sampler: str, sigmas: Tensor, x: Tensor, seed: int = 0, **options: Any) -> list[Step]:
    if SAMPLERS[sampler].knows_timesteps:
        options["noise_schedule"] = NOISE_SCHEDULE
    noise = NoiseSource([seed] * len(x), x.shape[1:])
    return list(SAMPLERS[sampler].function(gaussian, x, sigmas, noise, **options))


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in JUMPY])
def test_order_of_convergence(sampler: str) -> None:
    """Without noise, which is with η = 0, all of them solve the same ODE.

    The first steps of methods that remember are of first order, which leaves an error of second.
    """
    start = torch.ones(1, *SHAPE, dtype=torch.float64)
    options = {"eta": 0.0} if "eta" in SAMPLERS[sampler].options else {}

    def error(steps: int) -> float:
        sigmas = torch.linspace(5, 1, steps + 1, dtype=torch.float64)
        end = walk(sampler, sigmas, start, **options)[-1].x
        return float((end - math.sqrt((1 + 1**2) / (1 + 5**2))).abs().max())

    errors = [error(steps) for steps in (40, 80, 160)]
    measured = min(math.log2(coarse / fine) for coarse, fine in pairwise(errors))
    crossed = errors[-1] < 1e-6  # errors of two kinds cancelled on the way, so their ratio says nothing
    assert measured > min(SAMPLERS[sampler].order, 2) - 0.15 or crossed
    assert errors[-1] < 0.01


@pytest.mark.parametrize(
    "sampler",
    [
        name
        for name, sampler in SAMPLERS.items()
        if sampler.kind != "deterministic" and name not in FEW_STEP
    ],
)
def test_stochastic_samplers_keep_the_distribution(sampler: str) -> None:
    """Walking Gaussian noise down must end in the unit variance of the data."""
    noise = NoiseSource(range(2), (4, 32, 32))
    steps = 40 if SAMPLERS[sampler].kind == "SDE" else 200
    plan = make_plan(SAMPLERS[sampler], SCHEDULES["karras"], NOISE_SCHEDULE, steps)
    *_, last = plan.sampler.function(gaussian, noise.start() * plan.starting_scale, plan.sigmas, noise)
    assert float(last.latents.std()) == pytest.approx(1, abs=0.04)


def test_ddim_ddpm_and_ancestral_euler_are_one_family() -> None:
    sigmas = make_plan(SAMPLERS["euler"], None, NOISE_SCHEDULE, 7).sigmas
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0)) * sigmas[0]

    def last(sampler: str, **options: float) -> Tensor:
        return walk(sampler, sigmas, x, **options)[-1].x

    assert torch.allclose(last("ddim", eta=0.0), last("euler"), atol=1e-5)
    assert torch.allclose(last("ddim", eta=0.6), last("euler_ancestral", eta=0.6), atol=1e-5)
    assert torch.allclose(last("ddpm"), last("ddim", eta=1.0), atol=1e-5)
    assert not torch.allclose(last("ddpm"), last("ddim", eta=0.6), atol=1e-2)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_steps_say_what_happened_and_inputs_stay_as_they_were(sampler: str, steps: int) -> None:
    plan = make_plan(SAMPLERS[sampler], None, NOISE_SCHEDULE, steps)
    x = NoiseSource([1, 2], SHAPE).start() * plan.starting_scale
    x_before, sigmas_before = x.clone(), plan.sigmas.clone()
    walked = walk(sampler, plan.sigmas, x)
    assert torch.equal(x, x_before)
    assert torch.equal(plan.sigmas, sigmas_before)
    assert [step.index for step in walked] == list(range(steps))
    assert torch.equal(torch.stack([step.sigma for step in walked]), plan.sigmas[1:])
    assert all(step.x.shape == step.denoised.shape == x.shape for step in walked)
    assert len({step.x.data_ptr() for step in walked}) == steps
    assert walked[-1].latents.isfinite().all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_walks_as_its_pictures_do_alone(sampler: str) -> None:
    plan = make_plan(SAMPLERS[sampler], None, NOISE_SCHEDULE, 21)

    def last(*seeds: int) -> Tensor:
        noise = NoiseSource(seeds, SHAPE)
        x = noise.start() * plan.starting_scale
        *_, step = plan.sampler.function(gaussian, x, plan.sigmas, noise)
        return step.latents

    assert torch.equal(last(3, 4, 5), torch.cat([last(3), last(4), last(5)]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_never_look_at_the_values_of_x(sampler: str) -> None:
    """Sigmas stay on the CPU, latents wherever they are: a look would make a GPU wait."""
    plan = make_plan(SAMPLERS[sampler], None, NOISE_SCHEDULE, 4)
    x = torch.empty(1, *SHAPE, device="meta")
    denoise = guide(Denoiser(says_its_context, NOISE_SCHEDULE), torch.empty(2, 1, 1, device="meta"), 2.0)
    *_, last = plan.sampler.function(denoise, x, plan.sigmas, NoiseSource([0], SHAPE, device="meta"))
    assert last.latents.device == x.device
    assert last.latents.dtype == x.dtype


def test_samplers_wait_to_be_asked() -> None:
    """A generator that is dropped half way evaluates nothing more."""
    evaluated: list[float] = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        evaluated.append(float(sigma))
        return gaussian(x, sigma)

    plan = make_plan(SAMPLERS["euler"], None, NOISE_SCHEDULE, 10)
    steps: Iterator[Step] = plan.sampler.function(denoise, torch.ones(1, *SHAPE), plan.sigmas, lambda: None)
    assert evaluated == []
    next(steps), next(steps)
    assert evaluated == plan.sigmas[:2].tolist()


def test_finished_latents_are_x_where_the_walk_ends_at_zero() -> None:
    step = Step(0, torch.tensor(0.0), torch.randn(1, *SHAPE), torch.zeros(1, *SHAPE))
    assert torch.equal(step.latents, step.x)
    assert torch.allclose(replace(step, sigma=torch.tensor(3.0)).latents, step.x / math.sqrt(10))


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sampler", "schedule"),
    [
        ("dpmpp_2m", "dpmpp_2m", None),
        ("DPM++ 2M", "dpmpp_2m", None),
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("dpm++ 2m exponential", "dpmpp_2m", "exponential"),
        ("dpmpp-2m-karras", "dpmpp_2m", "karras"),
        ("Euler", "euler", None),
        ("Euler a", "euler_ancestral", None),
        ("EULER A", "euler_ancestral", None),
        ("Euler Ancestral", "euler_ancestral", None),
        ("euler trailing", "euler", "trailing"),
        ("Heun", "heun", None),
        ("DDIM", "ddim", None),
        ("DDPM", "ddpm", None),
        ("PLMS", "plms", None),
        ("LMS Karras", "lms", "karras"),
        ("DPM2", "dpm_2", None),
        ("DPM2 a Karras", "dpm_2_ancestral", "karras"),
        ("DPM++ 2S a Karras", "dpmpp_2s_ancestral", "karras"),
        ("DPM++ SDE", "dpmpp_sde", None),
        ("DPM++ SDE Karras", "dpmpp_sde", "karras"),
        ("DPM++ 2M SDE Karras", "dpmpp_2m_sde", "karras"),
        ("DPM++ 2M SDE Heun Exponential", "dpmpp_2m_sde_heun", "exponential"),
        ("DPM++ 3M SDE Exponential", "dpmpp_3m_sde", "exponential"),
        ("UniPC", "unipc", None),
        ("uni_pc", "unipc", None),
        ("DEIS", "deis", None),
        ("LCM", "lcm", None),
        ("TCD", "tcd", None),
        ("Restart", "restart", None),
        ("Euler Align Your Steps", "euler", "ays"),
        ("Euler SGM Uniform", "euler", "sgm_uniform"),
    ],
)
def test_names_of_samplers(name: str, sampler: str, schedule: str | None) -> None:
    found, spacing = resolve_sampler(name)
    assert found.name == sampler
    assert (spacing.name if spacing else None) == schedule


def test_names_of_schedules() -> None:
    assert resolve_schedule("Karras") is SCHEDULES["karras"]
    assert resolve_schedule(" uniform ") is SCHEDULES["uniform"]
    assert resolve_schedule("Automatic") is None
    for label in ("SGM Uniform", "SGMUniform", "sgm_uniform"):
        assert resolve_schedule(label) is SCHEDULES["sgm_uniform"]
    assert resolve_schedule("align_your_steps") is SCHEDULES["ays"]
    assert resolve_schedule("DDIM") is SCHEDULES["ddim_uniform"]
    assert resolve_schedule("KL Optimal") is SCHEDULES["kl_optimal"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("eulr", "euler"), ("euler_ancestal", "euler_ancestral"), ("DPM++ 2N", "dpmpp_2m")],
)
def test_unknown_sampler_suggests_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve_sampler(name)
    assert caught.value.where == "sampler"
    assert f'no sampler is called "{name}". Did you mean "{nearest}"?' in str(caught.value)


def test_unknown_schedule_suggests_the_nearest() -> None:
    with pytest.raises(
        RequestError, match=r'^schedule: no schedule is called "karas"\. Did you mean "karras"\?'
    ):
        resolve_schedule("karas")


def test_names_like_nothing_list_what_there_is() -> None:
    with pytest.raises(RequestError, match=r'called "🎨"\. There are: ddim, ddpm, plms, euler'):
        resolve_sampler("🎨")


@settings(max_examples=30, deadline=None)
@given(st.text())
def test_any_text_is_a_name_or_refused(name: str) -> None:
    for resolve in (resolve_sampler, resolve_schedule):
        with suppress(RequestError):
            resolve(name)


def test_names_need_no_torch() -> None:
    code = "import sys, gesso.diffusion.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
