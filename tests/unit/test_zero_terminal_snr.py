"""Models trained to a zero terminal signal-to-noise ratio: their noise, their files, walks with them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gesso.config import NoiseScheduleConfig
from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.schedule import NoiseSchedule
from gesso.errors import FormatError
from gesso.weights.folder_config import read_noise
from gesso.weights.folder_json import noise_json
from gesso.weights.settings import Settings

CONFIG = NoiseScheduleConfig(prediction="v", zero_terminal_snr=True)


def test_the_last_timestep_is_noise_and_the_first_is_what_it_was() -> None:
    """Lin et al. 2024, Algorithm 1: √ᾱ is shifted and stretched, so its steps stay in proportion."""
    plain, rescaled = (
        schedule.alphas_cumprod.double().sqrt() for schedule in (NoiseSchedule(), NoiseSchedule(CONFIG))
    )
    assert float(rescaled[-1]) == pytest.approx(0, abs=3e-4)
    assert float(rescaled[0]) == pytest.approx(float(plain[0]), rel=1e-6)
    ratio = rescaled[:-1].diff() / plain[:-1].diff()
    assert torch.allclose(ratio, ratio.mean(), rtol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_walks_stay_finite(sampler: str) -> None:
    noise_schedule = NoiseSchedule(CONFIG)
    plan = make_plan(SAMPLERS[sampler], None, noise_schedule, 6)

    def network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        """v of latents that are N(0, 1), whatever the timestep."""
        return torch.zeros_like(latents)

    denoiser = Denoiser(network, noise_schedule, "v").rounded(plan.rounding)
    noise = NoiseSource([3], (4, 16, 16))
    context = torch.zeros(1, 1, 1)
    x = noise.start() * plan.starting_scale
    *_, last = plan.sampler.function(lambda x, sigma: denoiser(x, sigma, context), x, plan.sigmas, noise)
    assert last.latents.isfinite().all()


@pytest.mark.parametrize("config", [CONFIG, NoiseScheduleConfig(), NoiseScheduleConfig(prediction="v")])
def test_files_say_so(config: NoiseScheduleConfig) -> None:
    assert read_noise(Settings(noise_json(config), "scheduler_config.json")) == config


def test_epsilon_says_nothing_of_noise_alone() -> None:
    settings = Settings(
        {"rescale_betas_zero_snr": True, "prediction_type": "epsilon"}, "scheduler_config.json"
    )
    with pytest.raises(FormatError, match=r"^scheduler_config.json: rescale_betas_zero_snr is true and"):
        read_noise(settings)


def test_a_flag_is_true_or_false() -> None:
    with pytest.raises(FormatError, match='rescale_betas_zero_snr is "yes", not true or false'):
        read_noise(Settings({"rescale_betas_zero_snr": "yes"}, "scheduler_config.json"))
