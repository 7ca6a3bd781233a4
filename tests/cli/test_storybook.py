"""``gesso storybook``: sheets of scenes, and a model's score; ``gesso train probe``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gesso.cli.storybook import in_words
from gesso.storybook.judge import ATTRIBUTES
from gesso.storybook.probe import Probe, load_probe
from gesso.storybook.score import Score, Shares
from gesso.training import probe as training
from gesso.weights.safetensors_file import write_safetensors

Run = Callable[..., Any]


@pytest.fixture
def untrained(here: Path) -> str:
    """A probe that knows nothing and says that it reads all but the weather."""
    torch.manual_seed(0)
    accuracy = dict.fromkeys(ATTRIBUTES, 1.0) | {"weather": 0.9}
    notes = {"channels": "[40, 80, 96]", "accuracy": json.dumps(accuracy)}
    write_safetensors(here / "probe.safetensors", Probe().state_dict(), notes)
    return "probe.safetensors"


def test_a_sheet_of_scenes(gesso: Run) -> None:
    ended = gesso("storybook", "render", "-o", "sheet.png", "--count", "8", "--size", "32", "--unseen")
    assert (ended.status, ended.out) == (0, "sheet.png\n")
    assert len(ended.err.splitlines()) == 8
    assert Image.open("sheet.png").size == (6 * 36 - 4, 2 * 36 - 4)
    assert gesso("storybook", "render", "-o", "sheet.png").refused().startswith("gesso: sheet.png: exists")


def test_captions_in_chinese(gesso: Run) -> None:
    ended = gesso("storybook", "render", "--count", "2", "--size", "16", "--language", "zh")
    assert "一" in ended.err or "两" in ended.err


def test_worlds_are_checked(gesso: Run) -> None:
    assert "small, medium, whole" in gesso("storybook", "render", "--world", "flat").refused()


def test_a_score(gesso: Run, untrained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gesso.storybook.score.VARIED", 1)
    monkeypatch.setattr("gesso.cli.storybook.PSNR_SCENES", 4)
    options = ("--probe", untrained, "--count", "4", "--steps", "1", "--world", "small", "--device", "cpu")
    ended = gesso("storybook", "score", *options, "--json")
    assert ended.status == 0
    result = json.loads(ended.out)
    assert result["prompts"] == 4
    assert set(result["seen"]["drawn"]) <= {*ATTRIBUTES, "whole"} - {"weather"}
    assert result["left_out"] == {"weather": 0.9}
    assert 20 < result["psnr"] < 40
    assert result["frechet"] > 0


def test_a_score_as_a_table() -> None:
    drawn = {"kind": 0.5, "whole": 0.25}
    seen = Shares(drawn, ceiling={"kind": 1.0, "whole": 0.9}, chance={"kind": 0.1, "whole": 0.0})
    unseen = replace(seen, drawn={"kind": 0.4, "relation": 1 / 3, "whole": 0.2})
    result = Score(40, seen, unseen, {"weather": 0.9}, 2.0, 0.5, 0.8, 31.25)
    lines = in_words(result, "mine").splitlines()
    assert lines[0] == "mine, 40 prompts"
    assert lines[2].split() == ["attribute", "seen", "ceiling", "chance", "unseen", "ceiling", "chance"]
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["kind"] == ["50.0%", "100.0%", "10.0%", "40.0%", "100.0%", "10.0%"]
    assert rows["relation"] == ["–", "–", "–", "33.3%", "–", "–"]
    assert "weather" not in rows
    assert any("weather (90.0%)" in line for line in lines)
    assert any("31.2 dB" in line for line in lines)


def test_a_probe_that_is_none(gesso: Run) -> None:
    Path("probe.safetensors").write_text("<html>")
    line = gesso("storybook", "score", "--probe", "probe.safetensors").refused()
    assert line.startswith("gesso: probe.safetensors: not a readable probe")


def test_a_probe_is_trained_and_examined(gesso: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(training.PROBE_RECIPE, batch_size=3, warmup=2)
    monkeypatch.setattr(training, "PROBE_RECIPE", recipe)
    monkeypatch.setattr(training, "EXAMINED", 6)
    ended = gesso("train", "probe", "-o", "run", "--steps", "2", "--device", "cpu", "--model", "storybook")
    assert (ended.status, ended.out) == (0, "run/probe.safetensors\n")
    _, accuracy = load_probe(Path("run/probe.safetensors"))
    assert set(accuracy) <= {*ATTRIBUTES, "whole"}
    assert gesso("train", "probe", "-o", "run").refused().startswith("gesso: run/probe.safetensors: exists")
