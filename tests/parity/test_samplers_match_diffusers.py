"""Every sampler walks as Diffusers' scheduler of the same settings does, over whole loops."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import product
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from gesso.config import NoiseScheduleConfig, Prediction
from gesso.diffusion.denoiser import Denoiser, Network
from gesso.diffusion.guidance import guide, pair_contexts
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

TOLERANCE = 1e-4
SEEDS = (7, 2**64 - 1)
SHAPE = (4, 6, 5)
GUIDANCE_SCALE = 2.5
NOISE_SCHEDULE = NoiseSchedule()

SCHEDULERS: dict[str, Callable[..., Any]] = {
    "ddim": diffusers.DDIMScheduler,
    "ddpm": diffusers.DDPMScheduler,
    "plms": diffusers.PNDMScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler_ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "heun": diffusers.HeunDiscreteScheduler,
    "dpmpp_2m": diffusers.DPMSolverMultistepScheduler,
    "unipc": diffusers.UniPCMultistepScheduler,
    "deis": diffusers.DEISMultistepScheduler,
    "lcm": diffusers.LCMScheduler,
    "tcd": diffusers.TCDScheduler,
}
STABLE_DIFFUSION: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
HABITS: dict[str, dict[str, Any]] = {
    "ddim": {"clip_sample": False, "set_alpha_to_one": False},
    "ddpm": {"clip_sample": False, "variance_type": "fixed_small"},
    "plms": {"skip_prk_steps": True, "set_alpha_to_one": False},
    "lcm": {"clip_sample": False},
    "tcd": {"clip_sample": False},
}
SPACINGS: dict[str, dict[str, Any]] = {
    "uniform": {"timestep_spacing": "linspace"},
    "leading": {"timestep_spacing": "leading", "steps_offset": 1},
    "trailing": {"timestep_spacing": "trailing"},
    "karras": {"timestep_spacing": "linspace", "use_karras_sigmas": True},
    "exponential": {"timestep_spacing": "linspace", "use_exponential_sigmas": True},
    "beta": {"timestep_spacing": "linspace", "use_beta_sigmas": True},
}
PAIRS = [
    # Diffusers' DDIM and PNDM take every step to be T // n timesteps long, which "uniform" ones are not;
    # these two and DDPM know no sigmas between timesteps.
    *product(("ddim", "plms"), ("leading", "trailing")),
    *product(("ddpm",), ("uniform", "leading", "trailing")),
    *product(("euler", "euler_ancestral", "heun", "dpmpp_2m", "unipc", "deis"), SPACINGS),
    *product(("lcm", "tcd"), ("uniform", "trailing")),
]


def small_network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
    """Nonlinear, mixes channels and pixels, and listens to every input, to fractions of a timestep too."""
    t = timesteps.float()[:, None, None, None]
    mixed = latents.roll(1, dims=1) - 0.7 * latents.roll((1, 1), dims=(2, 3)) + 0.4 * latents
    shift = context.mean(dim=(1, 2))[:, None, None, None] + 0.2 * torch.sin(t)
    return torch.tanh(mixed + shift) * (1 + 0.3 * torch.cos(t / 100)) + 0.3 * latents


def cheap_network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
    return 0.8 * latents + 0.2 * torch.sin(3 * latents + timesteps[0] / 50 + context[:, :1, :1, None])


CONTEXT = torch.randn(len(SEEDS), 3, 8, generator=torch.Generator().manual_seed(1))
NEGATIVE = torch.randn(len(SEEDS), 3, 8, generator=torch.Generator().manual_seed(2))


def make_scheduler(sampler: str, schedule: str, steps: int, prediction: Prediction) -> Any:
    """Diffusers' scheduler with its timesteps set; settings it lacks are put in from its Euler."""
    settings = STABLE_DIFFUSION | {
        "prediction_type": {"epsilon": "epsilon", "v": "v_prediction"}[prediction]
    }
    settings |= SPACINGS[schedule]
    if schedule == "leading" and steps == 1000:
        settings["steps_offset"] = 0  # Diffusers' DDIM looks for timestep 1000 otherwise
    if steps == 1 and schedule != "leading":
        # One point of np.linspace is the clean end, 0; k-diffusion's one point, and gesso's, the noisy one.
        settings |= {"timestep_spacing": "trailing"}
    if sampler in ("lcm", "tcd"):  # theirs space timesteps in a way of their own, and take any
        scheduler = SCHEDULERS[sampler](**STABLE_DIFFUSION, **HABITS[sampler])
        scheduler.register_to_config(prediction_type=settings["prediction_type"])
        points = SCHEDULES[schedule].points(NOISE_SCHEDULE, steps)
        scheduler.set_timesteps(timesteps=[round(point) for point in points])
        return scheduler
    if sampler == "euler_ancestral" and schedule in ("karras", "exponential", "beta"):
        euler = diffusers.EulerDiscreteScheduler(**settings)
        euler.set_timesteps(steps)
        scheduler = diffusers.EulerAncestralDiscreteScheduler(
            **STABLE_DIFFUSION, prediction_type=settings["prediction_type"]
        )
        scheduler.set_timesteps(steps)
        scheduler.sigmas, scheduler.timesteps = euler.sigmas, euler.timesteps
        return scheduler
    scheduler = SCHEDULERS[sampler](**settings | HABITS.get(sampler, {}))
    scheduler.set_timesteps(steps)
    if schedule == "beta":
        scheduler.set_begin_index(0)  # two sigmas may share a timestep, of which Diffusers takes the second
    return scheduler


def diffusers_latents(scheduler: Any, network: Network = small_network, **options: Any) -> Tensor:
    """The loop of Diffusers' StableDiffusionPipeline."""
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in SEEDS]
    latents = torch.cat([torch.randn((1, *SHAPE), generator=generator) for generator in generators])
    latents = latents * scheduler.init_noise_sigma
    if "generator" in inspect.signature(scheduler.step).parameters:
        options["generator"] = generators
    for timestep in scheduler.timesteps:
        doubled = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
        outputs = network(doubled, timestep.expand(len(doubled)), torch.cat([NEGATIVE, CONTEXT]))
        negative, positive = outputs.chunk(2)
        guided = negative + GUIDANCE_SCALE * (positive - negative)
        latents = scheduler.step(guided, timestep, latents, **options).prev_sample
    return latents


def gesso_latents(
    sampler: str,
    schedule: str,
    steps: int,
    prediction: Prediction = "epsilon",
    network: Network = small_network,
    noise_schedule: NoiseSchedule = NOISE_SCHEDULE,
    **options: Any,
) -> Tensor:
    plan = make_plan(SAMPLERS[sampler], SCHEDULES[schedule], noise_schedule, steps)
    denoiser = Denoiser(network, noise_schedule, prediction).rounded(plan.rounding)
    denoise = guide(denoiser, pair_contexts(CONTEXT, NEGATIVE), GUIDANCE_SCALE)
    noise = NoiseSource(SEEDS, SHAPE)
    x = noise.start() * plan.starting_scale
    *_, last = plan.sampler.function(denoise, x, plan.sigmas, noise, **options)
    assert last.index == steps - 1
    return last.latents


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    assert ours.dtype == theirs.dtype == torch.float32
    return float((ours - theirs).norm() / theirs.norm())


def is_comparable(sampler: str, schedule: str, steps: int, prediction: Prediction) -> bool:
    if sampler == "plms" and prediction == "v":
        return False  # see test_plms_averages_slopes
    if sampler == "deis" and steps == 1 and schedule in ("karras", "exponential", "beta"):
        return False  # Diffusers' one step goes nowhere: its last sigma is the first one again
    # Diffusers' DDIM and PNDM take every step to be T // n timesteps long.
    return not (sampler in ("ddim", "plms") and schedule == "trailing" and 1000 % steps)


RUNS = [*product(PAIRS, (1, 2, 3, 4, 20, 50), ("epsilon",)), *product(PAIRS, (1, 4, 20), ("v",))]
CASES = [case for pair, steps, prediction in RUNS if is_comparable(*(case := (*pair, steps, prediction)))]


@pytest.mark.parametrize(("sampler", "schedule", "steps", "prediction"), CASES)
def test_latents(sampler: str, schedule: str, steps: int, prediction: Prediction) -> None:
    theirs = diffusers_latents(make_scheduler(sampler, schedule, steps, prediction))
    ours = gesso_latents(sampler, schedule, steps, prediction)
    assert relative_error(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [
        ("ddim", "leading"),
        ("ddpm", "uniform"),
        ("plms", "leading"),
        ("euler", "uniform"),
        ("euler_ancestral", "trailing"),
        ("heun", "karras"),
        ("dpmpp_2m", "exponential"),
        ("unipc", "karras"),
    ],
)
def test_latents_after_a_thousand_steps(sampler: str, schedule: str) -> None:
    theirs = diffusers_latents(make_scheduler(sampler, schedule, 1000, "epsilon"), cheap_network)
    ours = gesso_latents(sampler, schedule, 1000, network=cheap_network)
    assert relative_error(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("eta", [0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 20])
def test_ddim_with_eta(steps: int, eta: float) -> None:
    theirs = diffusers_latents(make_scheduler("ddim", "leading", steps, "v"), eta=eta)
    assert relative_error(gesso_latents("ddim", "leading", steps, "v", eta=eta), theirs) <= TOLERANCE


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 20])
def test_tcd_with_eta(steps: int, eta: float) -> None:
    theirs = diffusers_latents(make_scheduler("tcd", "trailing", steps, "v"), eta=eta)
    assert relative_error(gesso_latents("tcd", "trailing", steps, "v", eta=eta), theirs) <= TOLERANCE


@pytest.mark.parametrize("steps", [2, 4, 20])
def test_plms_averages_slopes(steps: int) -> None:
    """With a v-network gesso walks as with the epsilon-network that says the same.

    Diffusers' PNDM averages a v-network's outputs of different timesteps, which are no slopes of one path;
    that makes it a method of first order (its error on Gaussian data is 20 times larger at 50 steps).
    """

    def as_epsilon(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        alpha_cumprod = NOISE_SCHEDULE.alphas_cumprod[timesteps.long()][:, None, None, None]
        output = small_network(latents, timesteps, context)
        return alpha_cumprod.sqrt() * output + (1 - alpha_cumprod).sqrt() * latents

    theirs = diffusers_latents(make_scheduler("plms", "leading", steps, "epsilon"), as_epsilon)
    assert relative_error(gesso_latents("plms", "leading", steps, "v"), theirs) <= TOLERANCE


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [("ddim", "trailing"), ("euler", "trailing"), ("euler", "karras"), ("dpmpp_2m", "trailing")],
)
@pytest.mark.parametrize("steps", [1, 4, 20])
def test_zero_terminal_snr(sampler: str, schedule: str, steps: int) -> None:
    settings = STABLE_DIFFUSION | SPACINGS[schedule] | {"prediction_type": "v_prediction"}
    settings |= {"timestep_spacing": "trailing"} if steps == 1 else {}
    scheduler = SCHEDULERS[sampler](**settings | HABITS.get(sampler, {}), rescale_betas_zero_snr=True)
    scheduler.alphas_cumprod[-1] = 2**-24  # as all but Diffusers' DDIM have it
    scheduler.set_timesteps(steps)
    rescaled = NoiseSchedule(NoiseScheduleConfig(prediction="v", zero_terminal_snr=True))
    ours = gesso_latents(sampler, schedule, steps, "v", noise_schedule=rescaled)
    assert relative_error(ours, diffusers_latents(scheduler)) <= TOLERANCE


@pytest.mark.parametrize("beta_schedule", ["scaled_linear", "linear"])
def test_alphas_cumprod(beta_schedule: Any) -> None:
    ours = NoiseSchedule(NoiseScheduleConfig(steps=200, beta_schedule=beta_schedule))
    theirs = diffusers.DDPMScheduler(200, 0.00085, 0.012, beta_schedule)
    assert torch.equal(ours.alphas_cumprod, theirs.alphas_cumprod)


@pytest.mark.parametrize("schedule", ["karras", "exponential"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 25, 100])
def test_whole_timesteps_of_sigmas_between_them(schedule: str, steps: int) -> None:
    told: list[float] = []

    def network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        told.append(float(timesteps[0]))
        return latents

    gesso_latents("dpmpp_2m", schedule, steps, network=network)
    assert told == make_scheduler("dpmpp_2m", schedule, steps, "epsilon").timesteps.tolist()


def test_trailing_timesteps_of_any_number_of_steps() -> None:
    """Their rounding of halves included: 48 steps and timestep 937.5, for one."""
    scheduler = diffusers.EulerDiscreteScheduler(**STABLE_DIFFUSION, timestep_spacing="trailing")
    for steps in (*range(1, 61), 96, 333, 600, 999, 1000):
        scheduler.set_timesteps(steps)
        assert SCHEDULES["trailing"].points(NOISE_SCHEDULE, steps) == scheduler.timesteps.tolist()
