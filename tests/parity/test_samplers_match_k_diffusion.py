"""The samplers of k-diffusion's family walk as k-diffusion's functions do, on the same noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
import torch
from k_diffusion_samplers import SAMPLERS_OF_K_DIFFUSION, load_k_diffusion
from torch import Tensor

from gesso.diffusion.brownian import BrownianTree
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.samplers.restart import respaced, restart_walk
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore:Should have ta>=t0:UserWarning")  # it rounds its own ends

TOLERANCE = 1e-4
SEEDS = (7, 2**64 - 1)
SHAPE = (4, 6, 5)
NOISE_SCHEDULE = NoiseSchedule()
KARRAS = SCHEDULES["karras"]


K_DIFFUSION = load_k_diffusion()
torchsde = K_DIFFUSION.torchsde


def denoise(x: Tensor, sigma: Tensor) -> Tensor:
    """Nonlinear, mixes channels and pixels, listens to the noise level; its slopes stay tame down to 0."""
    sigma = sigma.to(x).reshape(-1, 1, 1, 1)
    mixed = x.roll(1, dims=1) - 0.7 * x.roll((1, 1), dims=(2, 3)) + 0.4 * x
    share = sigma**2 / (1 + sigma**2)
    return x / (1 + sigma**2) + share * (
        0.8 * torch.tanh(mixed / (1 + sigma)) + 0.3 * torch.cos(sigma.log())
    )


class Noise(NoiseSource):
    """gesso's, but for the Brownian motion, which notices a time's last digit: that is a smooth one."""

    def brownian(self, low: float, high: float) -> Callable[[Tensor, Tensor], Tensor]:
        one, other = NoiseSource(SEEDS, SHAPE)(), NoiseSource(SEEDS[::-1], SHAPE)()

        def between(sigma: Tensor, sigma_next: Tensor) -> Tensor:
            noise = one * (3 * sigma.log() / high).cos() + other * (5 * sigma_next.log() + low).sin()
            return noise.to(self._dtype)

        return between


def starting(sigmas: Tensor, dtype: torch.dtype) -> Tensor:
    return (NoiseSource(SEEDS, SHAPE).start() * sigmas[0]).to(dtype)


def ours(sampler: str, sigmas: Tensor, dtype: torch.dtype = torch.float64, **options: float) -> Tensor:
    noise = Noise(SEEDS, SHAPE, dtype=dtype)
    x = starting(sigmas, dtype)
    noise()
    *_, last = SAMPLERS[sampler].function(denoise, x, sigmas, noise, **options)
    assert last.x.dtype == dtype
    return last.x


def theirs(sampler: str, sigmas: Tensor, dtype: torch.dtype = torch.float64, **options: Any) -> Tensor:
    """k-diffusion's walk, in double precision unless told otherwise, on noise drawn as gesso draws it."""
    noise = Noise(SEEDS, SHAPE, dtype=dtype)
    noise()
    function = getattr(K_DIFFUSION, f"sample_{sampler}")
    if SAMPLERS.get(sampler) and SAMPLERS[sampler].kind == "SDE":
        between = noise.brownian(float(sigmas[sigmas > 0].min()), float(sigmas.max()))
        options["noise_sampler"] = between
    elif SAMPLERS.get(sampler) and SAMPLERS[sampler].kind == "ancestral":
        options["noise_sampler"] = lambda *_: noise()
    with drawing(noise):
        return function(denoise, starting(sigmas, dtype), sigmas.to(dtype), disable=True, **options)


@contextmanager
def drawing(noise: Callable[[], Tensor]) -> Iterator[None]:
    """k-diffusion's churn draws from ``torch.randn_like``, whether it needs it or not."""
    patched = ModuleType("torch")
    patched.__dict__.update(vars(torch))
    vars(patched)["randn_like"] = lambda _: noise()
    K_DIFFUSION.torch = patched
    try:
        yield
    finally:
        K_DIFFUSION.torch = torch


def relative_error(one: Tensor, other: Tensor) -> float:
    return float((one - other).double().norm() / other.double().norm())


TAKING_ETA = [name for name in SAMPLERS_OF_K_DIFFUSION if SAMPLERS[name].kind != "deterministic"]
CHURNING = [name for name in SAMPLERS_OF_K_DIFFUSION if "s_churn" in SAMPLERS[name].options]


@pytest.mark.parametrize("schedule", ["uniform", "karras", "exponential", "sgm_uniform", "ays"])
@pytest.mark.parametrize("sampler", SAMPLERS_OF_K_DIFFUSION)
def test_walks(sampler: str, schedule: str) -> None:
    for steps in (1, 2, 3, 4, 25):
        if steps == 1 and sampler in ("dpmpp_2m_sde", "dpmpp_3m_sde"):
            continue  # k-diffusion reads a variable it has not set
        sigmas = SCHEDULES[schedule](NOISE_SCHEDULE, steps)
        reference = theirs(sampler, sigmas)
        for dtype in (torch.float32, torch.float64):
            error = relative_error(ours(sampler, sigmas, dtype), reference)
            assert error <= (TOLERANCE if dtype == torch.float32 else 1e-5), (steps, dtype)


@pytest.mark.parametrize("sampler", ["lms", "dpmpp_2s_ancestral", "dpmpp_3m_sde"])
def test_a_thousand_steps(sampler: str) -> None:
    sigmas = KARRAS(NOISE_SCHEDULE, 1000)
    assert relative_error(ours(sampler, sigmas), theirs(sampler, sigmas)) <= TOLERANCE


@pytest.mark.parametrize(
    "options", [{"eta": 0.0}, {"eta": 0.4}, {"s_noise": 1.1}, {"eta": 0.7, "s_noise": 0.9}]
)
@pytest.mark.parametrize("sampler", TAKING_ETA)
def test_eta_and_s_noise(sampler: str, options: dict[str, float]) -> None:
    for steps in (2, 7):
        sigmas = KARRAS(NOISE_SCHEDULE, steps)
        assert (
            relative_error(ours(sampler, sigmas, **options), theirs(sampler, sigmas, **options))
            <= TOLERANCE
        )


@pytest.mark.parametrize(
    "options",
    [
        {"s_churn": 3.0},
        {"s_churn": 1000.0, "s_noise": 1.007},
        {"s_churn": 5.0, "s_tmax": 3.0, "s_tmin": 0.0},
    ],
)
@pytest.mark.parametrize("sampler", CHURNING)
def test_churn(sampler: str, options: dict[str, float]) -> None:
    for steps in (2, 7):
        sigmas = KARRAS(NOISE_SCHEDULE, steps)
        if (
            "s_tmax" in options
        ):  # k-diffusion draws in each step, gesso in those that add noise: no draw before
            sigmas = sigmas[sigmas <= options["s_tmax"]]
        assert (
            relative_error(ours(sampler, sigmas, **options), theirs(sampler, sigmas, **options))
            <= TOLERANCE
        )


@pytest.mark.parametrize("sampler", CHURNING)
def test_churn_stays_within_its_limits(sampler: str) -> None:
    """Outside of s_tmin … s_tmax the walk is the plain one, and draws nothing."""
    sigmas = KARRAS(NOISE_SCHEDULE, 6)
    churned = ours(sampler, sigmas, s_churn=5.0, s_tmin=float(sigmas[0]) + 1)
    assert torch.equal(churned, ours(sampler, sigmas))
    assert not torch.equal(ours(sampler, sigmas, s_churn=5.0, s_tmin=1.0), churned)


def test_2m_sde_heun() -> None:
    for steps in (2, 5, 30):
        sigmas = SCHEDULES["exponential"](NOISE_SCHEDULE, steps)
        noise = Noise(SEEDS, SHAPE, dtype=torch.float64)
        reference = K_DIFFUSION.sample_dpmpp_2m_sde(
            denoise,
            starting(sigmas, torch.float64),
            sigmas.double(),
            disable=True,
            noise_sampler=noise.brownian(float(sigmas[-2]), float(sigmas[0])),
            solver_type="heun",
        )
        assert relative_error(ours("dpmpp_2m_sde_heun", sigmas), reference) <= TOLERANCE


# --- Brownian motion ---------------------------------------------------------------------------------


def tree(seed: int, low: float, high: float) -> BrownianTree:
    def draw(at: int) -> Tensor:
        return torch.randn(SHAPE, generator=torch.Generator().manual_seed(at))

    return BrownianTree(low, high, seed, draw)


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 5, 2**64 - 1])
def test_brownian_paths_are_torchsdes(seed: int) -> None:
    low, high = NOISE_SCHEDULE.sigma_min, NOISE_SCHEDULE.sigma_max
    reference = torchsde.BrownianTree(low, torch.zeros(SHAPE), high, entropy=seed)
    own = tree(seed, low, high)
    times = torch.rand(8, 2, generator=torch.Generator().manual_seed(1)) * (high - low) + low
    for early, late in [(low, high), (5.0, 5.001), *times.sort().values.tolist()]:
        expected = reference(early, late)
        assert relative_error(own.increment(early, late), expected) <= 1e-5
        assert relative_error(own.increment(late, early), -expected) <= 1e-5


def test_noise_between_is_k_diffusions() -> None:
    sigmas = KARRAS(NOISE_SCHEDULE, 5)
    low, high = float(sigmas[-2]), float(sigmas[0])
    x = torch.zeros(len(SEEDS), *SHAPE)
    reference = K_DIFFUSION.BrownianTreeNoiseSampler(x, low, high, seed=list(SEEDS))
    between = NoiseSource(SEEDS, SHAPE).brownian(low, high)
    for sigma, sigma_next in pairwise(sigmas[:-1]):
        assert relative_error(between(sigma, sigma_next), reference(sigma, sigma_next)) <= 1e-5


# --- Restart -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "length", "times"), [(20, 9, 1), (35, 9, 1), (36, 9, 2), (60, 15, 2)])
def test_restart(steps: int, length: int, times: int) -> None:
    """AUTOMATIC1111's shares of the steps; each stretch is k-diffusion's Heun along its Karras."""
    low, high = NOISE_SCHEDULE.sigma_min, NOISE_SCHEDULE.sigma_max
    main = K_DIFFUSION.get_sigmas_karras(steps - length * times, low, high)
    bottom, top = (int((main[:-1] - sigma).abs().argmin()) for sigma in (0.1, 2.0))
    again = K_DIFFUSION.get_sigmas_karras(length + 1, float(main[bottom]), float(main[top]))[:-1]
    noise = NoiseSource(SEEDS, SHAPE, dtype=torch.float64)

    def heun(x: Tensor, sigmas: Tensor) -> Tensor:
        return K_DIFFUSION.sample_heun(denoise, x, sigmas.double(), disable=True)

    x = heun(noise() * main[0].double(), main[: bottom + 1])
    for _ in range(times):
        x = heun(x + (main[top] ** 2 - main[bottom] ** 2).sqrt() * 1.01 * noise(), again)
    x = heun(x, main[bottom:])
    sigmas = KARRAS(NOISE_SCHEDULE, steps)
    assert relative_error(ours("restart", sigmas, s_noise=1.01), x) <= TOLERANCE
    assert len(restart_walk(sigmas)) == steps


def test_short_walks_do_not_restart() -> None:
    sigmas = KARRAS(NOISE_SCHEDULE, 19)
    assert torch.equal(ours("restart", sigmas), ours("heun", sigmas))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_restarts_fit_every_schedule(schedule: str) -> None:
    for steps in (20, 36, 200):
        walk = restart_walk(SCHEDULES[schedule](NOISE_SCHEDULE, steps))
        assert len(walk) == steps
        assert all(sigma > sigma_next for sigma, sigma_next in walk)
        jumps = sum(after > before for (_, before), (after, _) in pairwise(walk))
        assert jumps == (1 if steps < 36 else 2)


def test_respacing_karras_is_karras() -> None:
    assert torch.allclose(
        respaced(KARRAS(NOISE_SCHEDULE, 40)[:-1], 13), KARRAS(NOISE_SCHEDULE, 13)[:-1], rtol=1e-6
    )


# --- schedules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["karras", "exponential", "polyexponential"])
def test_schedules(name: str) -> None:
    function = getattr(K_DIFFUSION, f"get_sigmas_{name}")
    for steps in (1, 2, 10, 1000):
        expected = function(steps, NOISE_SCHEDULE.sigma_min, NOISE_SCHEDULE.sigma_max)
        assert torch.allclose(SCHEDULES[name](NOISE_SCHEDULE, steps), expected, rtol=2e-5)


def test_plans_bind_what_tcd_needs() -> None:
    plan = make_plan(SAMPLERS["tcd"], None, NOISE_SCHEDULE, 4)
    noise = NoiseSource(SEEDS, SHAPE)
    *_, last = plan.sampler.function(denoise, noise.start() * plan.starting_scale, plan.sigmas, noise)
    assert math.isfinite(float(last.x.norm()))
