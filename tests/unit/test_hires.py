"""Two passes, and what enlarges a picture in between."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gesso
from gesso.errors import CheckpointError, RequestError
from gesso.pipeline.images import from_pil
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.upscalers import UPSCALERS, resolve_upscaler

PROMPT = "a red house"
SIDE = 32


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def image() -> Image.Image:
    across, down = np.meshgrid(np.linspace(0, 5, SIDE), np.linspace(0, 4, SIDE))
    colours = np.stack([np.sin(across), np.cos(down), np.sin(across * down)], axis=-1)
    return Image.fromarray((colours * 120 + 127).astype(np.uint8))


@pytest.mark.parametrize("name", UPSCALERS)
def test_two_passes(pipe: Pipeline, name: str) -> None:
    request = gesso.GenerationRequest(
        PROMPT,
        width=SIDE,
        height=24,
        steps=3,
        seed=1,
        hires_scale=1.5,
        hires_steps=4,
        hires_strength=0.5,
        hires_upscaler=UPSCALERS[name].label,
    )
    resolved = request.resolve(pipe.config)
    assert (resolved.walked_steps, resolved.second_steps, resolved.hires_upscaler) == (3, 2, name)
    steps = list(pipe.stream(request))
    assert [tuple(step.latents.shape[-2:]) for step in steps] == [(3, 4)] * 3 + [(4, 6)] * 2
    assert pipe(request).images[0].size == (48, SIDE)


def test_the_second_size_has_its_limit(pipe: Pipeline) -> None:
    request = gesso.GenerationRequest("", width=2048, height=8, hires_scale=5)
    with pytest.raises(RequestError, match="hires_scale: the width would be 10240, more than 8192"):
        request.resolve(pipe.config)


# Networks that enlarge pictures


@pytest.fixture
def network_file(tmp_path: Path) -> str:
    path = tmp_path / "2x.pth"
    torch.save(
        {"params_ema": {"conv.weight": torch.ones(2)}, "params": {"conv.weight": torch.zeros(2)}}, path
    )
    return str(path)


def test_without_spandrel_one_is_told_what_to_install(
    network_file: str, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    monkeypatch.setattr("gesso.pipeline.upscaling_network.find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match=r'spandrel\. Install it: pip install "gesso\[upscale\]"'):
        resolve_upscaler(network_file, "hires_upscaler").enlarge(image, (64, 64))


def test_a_spandrel_that_cannot_be_loaded(
    network_file: str, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a torchvision that was built for another torch."""

    def refuse(_: str) -> object:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("gesso.pipeline.upscaling_network.find_spec", lambda _: object())
    monkeypatch.setattr("gesso.pipeline.upscaling_network.import_module", refuse)
    with pytest.raises(CheckpointError, match=r"be loaded: operator torchvision::nms .* another torch"):
        resolve_upscaler(network_file, "hires_upscaler").enlarge(image, (64, 64))


def test_networks_enlarge_piece_by_piece(
    network_file: str, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for spandrel, whose network sees two pixels around each."""
    seen: list[dict[str, Tensor]] = []

    class Network(nn.Module):
        scale, input_channels, output_channels = 2, 3, 3

        def forward(self, x: Tensor) -> Tensor:
            pieces.append(x.shape)
            smooth = torch.nn.functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
            return torch.nn.functional.interpolate(smooth, scale_factor=2.0)

    class ModelLoader:
        def load_from_state_dict(self, weights: dict[str, Tensor]) -> Network:
            seen.append(weights)
            return Network()

    pieces: list[torch.Size] = []
    stand_in = SimpleNamespace(ModelLoader=ModelLoader, UnsupportedModelError=KeyError)
    monkeypatch.setitem(sys.modules, "spandrel", stand_in)
    monkeypatch.setattr("gesso.pipeline.upscaling_network.find_spec", lambda _: object())
    large = image.resize((300, 40))
    upscaler = resolve_upscaler(network_file, "hires_upscaler")
    enlarged = np.asarray(upscaler.enlarge(large, (600, 80))).astype(int)
    assert seen[0].keys() == {"conv.weight"}
    assert seen[0]["conv.weight"].tolist() == [1, 1], "the averaged weights"
    assert len(pieces) == 2
    with torch.no_grad():
        whole = Network()(from_pil(large))
    expected = ((whole / 2 + 0.5) * 255).round()[0].permute(1, 2, 0).numpy()
    assert np.abs(enlarged - expected).max() <= 1
    assert upscaler.enlarge(large, (450, 60)).size == (450, 60)
