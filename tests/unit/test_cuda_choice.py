"""Which optimisations a GPU is offered, and that the loop never waits for it."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.guidance import guide
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.schedule import NoiseSchedule
from gesso.engine import engine
from gesso.engine.cuda.layout import lay_out
from gesso.engine.engine import available, choose_engine
from gesso.errors import RequestError

CUDA = torch.device("cuda")
KERNELS = ["triton-group-norm", "triton-resnet", "triton-transformer", "triton-geglu"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_what_a_gpu_is_offered(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: name)
    assert available(CUDA, dtype) == ["cached-context", "tensor-core-layout", *KERNELS, "cuda-graphs"]


def test_without_triton_the_rest_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "find_spec", {}.get)
    assert available(CUDA, torch.float16) == ["cached-context", "tensor-core-layout", "cuda-graphs"]
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        f"triton is not installed, so these optimisations are off: {', '.join(KERNELS)}"
    ]


def test_engines_by_name() -> None:
    unet = nn.Linear(1, 1)
    assert choose_engine("cuda-graphs, triton-geglu", unet, CUDA, torch.float16) == [
        "cuda-graphs",
        "triton-geglu",
    ]
    with pytest.raises(RequestError, match='"cuda-graphs" is not for cpu'):
        choose_engine("cuda-graphs", unet, torch.device("cpu"), torch.float32)
    with pytest.raises(RequestError, match='"shared-prefix" is not for cuda'):
        choose_engine("shared-prefix", unet, CUDA, torch.float16)


@pytest.mark.parametrize(("dtype", "changes"), [(torch.float16, True), (torch.float32, False)])
def test_layout_of_weights(dtype: torch.dtype, changes: bool) -> None:
    convolution = nn.Conv2d(8, 16, 3).to(dtype)
    before = convolution.weight.clone()
    lay_out(nn.Sequential(convolution))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last) == changes
    assert torch.equal(convolution.weight, before)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_no_step_reads_what_is_on_the_device(name: str, prediction: str) -> None:
    """Latents on the meta device have no values: to ask for one, as waiting for a GPU does, fails."""
    schedule = NoiseSchedule()
    plan = make_plan(SAMPLERS[name], None, schedule, 4)
    calls = 0

    def network(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        assert latents.device == timesteps.device == context.device == torch.device("meta")
        return latents

    x = torch.empty(1, 4, 8, 8, device="meta")
    context = torch.empty(2, 77, 8, dtype=torch.float16, device="meta")
    denoiser = Denoiser(network, schedule, prediction).rounded(plan.rounding)  # pyright: ignore
    noise = NoiseSource([0], (4, 8, 8), device="meta")
    steps = list(plan.sampler.function(guide(denoiser, context, 7.5), x, plan.sigmas, noise))
    assert len(steps) == 4
    assert calls >= 4
    assert steps[-1].latents.device == torch.device("meta")


def test_asking_a_device_for_a_value_would_be_noticed() -> None:
    with pytest.raises(RuntimeError):
        float(torch.zeros((), device="meta"))
