"""`benchmarks/gpu.py` where there is no GPU: its options, its refusal, and its parts on a small model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from gesso.config import AutoencoderConfig, ModelConfig, TextEncoderConfig, UNetConfig

SMALL = ModelConfig(
    unet=UNetConfig(
        block_channels=(16, 32), attention_levels=(True, False), layers_per_block=1, heads=2,
        context_dim=16, groups=4, sample_size=8,
    ),
    autoencoder=AutoencoderConfig(block_channels=(8, 8, 16, 16), layers_per_block=1, groups=4),
    text_encoder=TextEncoderConfig(width=16, layers=2, heads=2, mlp_width=32),
)  # fmt: skip


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts find each other in their folder, as when one of them is run."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "benchmarks"), *sys.path])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gpu

    assert gpu.main(["--out", str(tmp_path)]) == 1
    assert "no NVIDIA GPU here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import gpu

    monkeypatch.setenv("OUT", "/results")
    options = gpu.parse(["--batches", "1,8", "--parts", "step,profile", "--peers", ""])
    assert options.out == Path("/results")
    assert (options.batches, options.parts, options.peers) == ([1, 8], ["step", "profile"], [])
    with pytest.raises(SystemExit):
        gpu.parse(["--parts", "stepp"])
    assert '"stepp" is none of' in capsys.readouterr().err


def test_every_part_on_a_small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it runs on a GPU, but for what only a GPU has: here the engine is what any device can do."""
    import gpu
    import gpu_parts

    monkeypatch.setattr(gpu_parts, "CALLS", 1)
    monkeypatch.setattr(gpu_parts, "BLOCKS", 1)
    monkeypatch.setattr(gpu_parts, "LOOP", 3)
    monkeypatch.setattr(gpu_parts, "available", lambda *_: ["cached-context"])
    monkeypatch.setattr(gpu_parts, "matrix_product_peak", lambda *_: 1e12)
    options = gpu.parse(["--out", str(tmp_path), "--batches", "1,2", "--steps", "2"])
    results = gpu.measure(options, SMALL, torch.device("cpu"), torch.float32)
    assert list(results) == list(gpu_parts.PARTS)
    assert not [name for name, each in results.items() if "failed" in each]
    assert "diffusers" in results["agreement"]
    assert json.loads((tmp_path / "gpu.json").read_text())["results"] == results
    assert "without cached-context" in (tmp_path / "gpu.txt").read_text()


def test_no_time_left_and_wrong_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu
    import gpu_parts

    monkeypatch.setattr(gpu_parts, "available", lambda *_: [])
    monkeypatch.setitem(gpu_parts.LARGEST_ERROR, torch.float32, -1.0)
    options = gpu.parse(["--out", str(tmp_path), "--parts", "agreement,step", "--peers", ""])
    results = gpu.measure(options, SMALL, torch.device("cpu"), torch.float32)
    assert list(results) == ["agreement"], "nothing is timed that is wrong"
    assert "failed" in results["agreement"]
    options.minutes = -1
    results = gpu.measure(options, SMALL, torch.device("cpu"), torch.float32)
    assert all("left out" in each for each in results.values())
