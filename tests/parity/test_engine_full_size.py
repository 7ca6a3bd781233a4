"""The CPU engine against the plain models at the size of Stable Diffusion 1.5, with random weights."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gesso.config import SD15
from gesso.engine.engine import choose_engine, optimise
from gesso.models.autoencoder import Autoencoder
from gesso.models.unet import UNet

TOLERANCE = 1e-3
"""What one call may differ by, so that a picture's PSNR stays above 45 dB; 1e-5 is usual."""


def difference(model: nn.Module, names: list[str], call: Callable[[], Tensor]) -> float:
    """The relative error of the optimised model."""
    plain = call()
    optimise([model], names)
    error = float((call() - plain).norm() / plain.norm())
    print(f"{type(model).__name__}: relative error {error:.1e}")
    return error


@pytest.fixture
def names() -> list[str]:
    with torch.device("meta"):
        unet = UNet(SD15.unet)
    chosen = choose_engine("auto", unet, torch.device("cpu"), torch.float32)
    assert "winograd" in chosen
    gc.collect()
    return chosen


@pytest.mark.full
@torch.inference_mode()
def test_one_guided_step(names: list[str]) -> None:
    torch.manual_seed(0)
    with torch.inference_mode(False):
        unet = UNet(SD15.unet).eval().requires_grad_(False)
    latents, timesteps = torch.randn(1, 4, 64, 64).repeat(2, 1, 1, 1), torch.tensor([501.0, 501.0])
    context = torch.randn(2, 77, 768)
    assert difference(unet, names, lambda: unet(latents, timesteps, context)) <= TOLERANCE


@pytest.mark.full
@torch.inference_mode()
def test_decoding(names: list[str]) -> None:
    torch.manual_seed(0)
    with torch.inference_mode(False):
        autoencoder = Autoencoder(SD15.autoencoder).eval().requires_grad_(False)
    latents = torch.randn(1, 4, 64, 64)
    assert difference(autoencoder, names, lambda: autoencoder.decode(latents)) <= TOLERANCE
