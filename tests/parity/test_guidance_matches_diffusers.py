"""Rescaled guidance is Diffusers', and guidance within an interval is guidance there and none elsewhere."""

from __future__ import annotations

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from torch import Tensor

from gesso.config import Prediction
from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.guidance import guide, pair_contexts
from gesso.diffusion.schedule import NoiseSchedule

NOISE_SCHEDULE = NoiseSchedule()
SHAPE = (2, 4, 6, 5)
RANDOM = torch.Generator().manual_seed(3)
CONTEXT, NEGATIVE, OTHER = (torch.randn(2, 3, 8, generator=RANDOM) for _ in range(3))


class Network:
    """A small network that notes what it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.outputs: list[Tensor] = []

    def __call__(self, latents: Tensor, _timesteps: Tensor, context: Tensor) -> Tensor:
        shift = context.mean(dim=(1, 2))[:, None, None, None]
        self.batches.append(len(latents))
        self.outputs.append(torch.tanh(latents.roll(1, dims=1) + 3 * shift) + 0.2 * shift)
        return self.outputs[-1]


def estimate(x: Tensor, sigma: Tensor, output: Tensor, prediction: Prediction) -> Tensor:
    """What Diffusers' Euler takes an output for."""
    if prediction == "v":
        return output * (-sigma / (sigma**2 + 1) ** 0.5) + x / (sigma**2 + 1)
    return x - sigma * output


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("timestep", [0, 10, 500, 999])
@pytest.mark.parametrize("amount", [0.3, 0.7, 1.0])
def test_rescaling(prediction: Prediction, timestep: int, amount: float) -> None:
    sigma = NOISE_SCHEDULE.sigmas[timestep]
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(timestep)) * (sigma**2 + 1) ** 0.5
    network = Network()
    denoiser = Denoiser(network, NOISE_SCHEDULE, prediction)
    ours = guide(denoiser, pair_contexts(CONTEXT, NEGATIVE), 7.5, rescale=amount)(x, sigma)
    negative, positive = network.outputs[0].chunk(2)
    guided = rescale_noise_cfg(negative + 7.5 * (positive - negative), positive, guidance_rescale=amount)
    theirs = estimate(x, sigma, guided, prediction)
    assert float((ours - theirs).norm() / theirs.norm()) <= 1e-5


def test_rescaling_several_prompts_aims_at_their_sum_unscaled() -> None:
    sigma = NOISE_SCHEDULE.sigmas[500]
    x = torch.randn(SHAPE) * sigma
    contexts = pair_contexts(torch.cat([CONTEXT, OTHER]), NEGATIVE)
    denoiser = Denoiser(Network(), NOISE_SCHEDULE)
    unscaled = guide(denoiser, contexts, 1.0, (0.5, 0.8))(x, sigma)
    full = guide(denoiser, contexts, 9.0, (0.5, 0.8), rescale=1.0)(x, sigma)
    deviations = [((each - x) / sigma).std(dim=(1, 2, 3)) for each in (unscaled, full)]
    assert torch.allclose(*deviations, rtol=1e-4)


def test_no_rescaling_is_plain_guidance() -> None:
    x, sigma = torch.randn(SHAPE), NOISE_SCHEDULE.sigmas[700]
    contexts = pair_contexts(CONTEXT, NEGATIVE)
    denoiser = Denoiser(Network(), NOISE_SCHEDULE)
    assert torch.equal(
        guide(denoiser, contexts, 7.5, rescale=0.0)(x, sigma), guide(denoiser, contexts, 7.5)(x, sigma)
    )


@pytest.mark.parametrize(("sigma", "guided"), [(0.28, False), (0.29, True), (5.42, True), (5.5, False)])
def test_guidance_in_an_interval(sigma: float, guided: bool) -> None:
    """Above the low end, up to the high one (Kynkäänniemi et al. 2024); half a batch elsewhere."""
    x, at = torch.randn(SHAPE), torch.tensor(sigma)
    contexts = pair_contexts(CONTEXT, NEGATIVE)
    network = Network()
    denoiser = Denoiser(network, NOISE_SCHEDULE)
    got = guide(denoiser, contexts, 7.5, interval=(0.28, 5.42))(x, at)
    assert network.batches == [4 if guided else 2]
    expected = guide(denoiser, contexts, 7.5)(x, at) if guided else denoiser(x, at, CONTEXT)
    assert torch.equal(got, expected)


def test_outside_of_the_interval_prompts_keep_their_weights() -> None:
    x, at = torch.randn(SHAPE), torch.tensor(9.0)
    contexts = pair_contexts(torch.cat([CONTEXT, OTHER]), NEGATIVE)
    denoiser = Denoiser(Network(), NOISE_SCHEDULE)
    got = guide(denoiser, contexts, 7.5, (0.5, 0.8), interval=(0.28, 5.42))(x, at)
    assert torch.equal(got, guide(denoiser, contexts, 1.0, (0.5, 0.8))(x, at))
