"""The named schedules against the numbers published for them, and against scipy and Diffusers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler
from diffusers.schedulers import AysSchedules
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution

from gesso.config import NoiseScheduleConfig
from gesso.diffusion.beta import beta_quantile
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NOISE_SCHEDULE = NoiseSchedule()
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def sigmas(name: str, steps: int) -> list[float]:
    return SCHEDULES[name](NOISE_SCHEDULE, steps).tolist()


def timesteps(name: str, steps: int) -> list[float]:
    return NOISE_SCHEDULE.timestep(SCHEDULES[name](NOISE_SCHEDULE, steps)[:-1]).tolist()


@settings(max_examples=100, deadline=None)
@example(p=0.5, a=0.6, b=0.6)
@example(p=2.2493650688639695e-191, a=0.5859375, b=1.0)
@given(p=st.floats(0, 1), a=st.floats(0.2, 1), b=st.floats(0.2, 1))
def test_beta_quantiles(p: float, a: float, b: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(beta_distribution.ppf(p, a, b), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("steps", [2, 3, 10, 31, 1000])
def test_beta(steps: int) -> None:
    scheduler = EulerDiscreteScheduler(**STABLE_DIFFUSION, use_beta_sigmas=True)
    scheduler.set_timesteps(steps)
    assert torch.allclose(SCHEDULES["beta"](NOISE_SCHEDULE, steps), scheduler.sigmas, rtol=1e-5)


def test_align_your_steps_as_published() -> None:
    published = AysSchedules["StableDiffusionSigmas"]
    assert sigmas("ays", 10) == pytest.approx(published, rel=5e-5)


@pytest.mark.parametrize("steps", [1, 2, 7, 11, 20, 100])
def test_align_your_steps_interpolated(steps: int) -> None:
    """Log-linearly, by numpy; the ends published are the model's own, rounded to three digits."""
    published = [*AysSchedules["StableDiffusionSigmas"][:-1], 0.029]
    places = np.linspace(0, 1, steps + 1)
    expected = np.exp(np.interp(places, np.linspace(0, 1, 11), np.log(published)))[:-1]
    assert sigmas("ays", steps)[:-1] == pytest.approx(expected, rel=6e-3)


@pytest.mark.parametrize("steps", [2, 5, 30])
def test_kl_optimal(steps: int) -> None:
    """The paper's closed form: tan of the mean of the extremes' arc tangents, weighted by i / (n − 1)."""
    low, high = NOISE_SCHEDULE.sigma_min, NOISE_SCHEDULE.sigma_max
    share = np.arange(steps) / (steps - 1)
    expected = np.tan(share * np.arctan(low) + (1 - share) * np.arctan(high))
    assert sigmas("kl_optimal", steps)[:-1] == pytest.approx(expected, rel=1e-5)


def test_timesteps_of_the_schedules_of_comfyui() -> None:
    """Worked out by hand from their rules: strides of T/n, the one kept or dropped at either end."""
    assert timesteps("sgm_uniform", 4) == pytest.approx([999, 749.25, 499.5, 249.75], abs=1e-3)
    assert timesteps("normal", 4) == pytest.approx([999, 666, 333, 0], abs=1e-3)
    assert timesteps("simple", 3) == [999, 666, 333]
    assert timesteps("simple", 7) == [999, 857, 714, 571, 428, 285, 142]
    assert timesteps("ddim_uniform", 4) == [751, 501, 251, 1]
    whole = SCHEDULES["sgm_uniform"](NOISE_SCHEDULE, 4, whole=True)[:-1]
    assert NOISE_SCHEDULE.timestep(whole).tolist() == [999, 749, 499, 249]


def test_polyexponential_bends_with_rho() -> None:
    from gesso.diffusion.points import exponential, polyexponential

    assert polyexponential(NOISE_SCHEDULE, 9) == pytest.approx(exponential(NOISE_SCHEDULE, 9))
    straight, bent = (polyexponential(NOISE_SCHEDULE, 9, rho) for rho in (1.0, 2.0))
    assert all(low < high for low, high in zip(bent[1:-1], straight[1:-1], strict=True))


@pytest.mark.parametrize("steps", [5, 100, 1000])
def test_zero_terminal_snr(steps: int) -> None:
    ours = NoiseSchedule(NoiseScheduleConfig(steps=steps, prediction="v", zero_terminal_snr=True))
    theirs = EulerDiscreteScheduler(steps, **STABLE_DIFFUSION, rescale_betas_zero_snr=True)
    assert torch.allclose(ours.alphas_cumprod, theirs.alphas_cumprod, rtol=1e-4)
    assert ours.alphas_cumprod[0] == pytest.approx(float(NoiseSchedule().alphas_cumprod[0]), rel=1e-5)
    assert ours.sigma_max == pytest.approx(4096, rel=1e-6)
