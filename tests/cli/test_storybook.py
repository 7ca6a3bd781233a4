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

from gesso.cli.score_table import in_words
from gesso.storybook.judge import ATTRIBUTES
from gesso.storybook.probe import Probe, load_probe
from gesso.storybook.score import Score
from gesso.storybook.shares import EVERY, Shares
from gesso.training import probe as training
from gesso.weights.safetensors_file import write_safetensors

Run = Callable[..., Any]


@pytest.fixture
def untrained(here: Path) -> str:
    """A probe that knows nothing and says that it reads all but the ground."""
    torch.manual_seed(0)
    accuracy = dict.fromkeys(ATTRIBUTES, 1.0) | {"ground": 0.9}
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
    options = ("--probe", untrained, "--count", "4", "--steps", "1", "--device", "cpu")
    ended = gesso("storybook", "score", *options, "--sampler", "Euler", "--json")
    assert (ended.status, ended.err) == (0, "")
    result = json.loads(ended.out)
    assert (result["model"], result["world"], result["prompts"]) == ("storybook", "medium", 4)
    assert (result["sampler"], result["steps"]) == ("euler", 1)
    assert result["guidance_scale"] > 1
    uncounted = {"style", "ground"}
    assert set(result["seen"]["drawn"]) <= {*ATTRIBUTES, EVERY, "whole"} - uncounted
    assert result["constant"] == {"style": "picture book"}
    assert result["left_out"] == {"ground": 0.9}
    assert 20 < result["psnr"] < 40
    assert result["frechet"] > 0


def test_a_score_as_a_table() -> None:
    drawn = {"kind": 0.5, EVERY: 0.75, "whole": 0.25}
    errors = {"kind": 0.1, EVERY: 0.0125, "whole": 0.07}
    seen = Shares(drawn, errors, ceiling=dict.fromkeys(drawn, 1.0), chance=dict.fromkeys(drawn, 0.1))
    unseen = replace(seen, drawn={"kind": 0.4, "relation": 1 / 3, EVERY: 0.7, "whole": 0.2})
    constant, left_out = {"style": "flat"}, {"weather": 0.9}
    result = Score(40, seen, unseen, seen, constant, left_out, 2.0, 0.5, 0.8, 31.25)
    lines = in_words(result, "mine, 40 prompts").splitlines()
    assert lines[0] == "mine, 40 prompts"
    assert lines[2].split() == ["attribute", "seen", "ceiling", "chance", "unseen", "ceiling", "chance"]
    rows = {line[:14].strip(): line[14:].split() for line in lines[3:7]}
    assert list(rows) == ["kind", "relation", EVERY, "whole"], "what no prompt asks for has no row"
    assert rows["kind"] == ["50.0%", "100.0%", "10.0%", "40.0%", "100.0%", "10.0%"]
    assert rows["relation"] == ["–", "–", "–", "33.3%", "–", "–"]
    assert rows[EVERY][::3] == ["75.0%", "70.0%"]
    assert "standard error of all attributes: 1.2% seen, 1.2% unseen" in lines
    assert "not counted, for this world has one alone: style (flat)" in lines
    assert any("weather (90.0%)" in line for line in lines)
    assert any("31.2 dB" in line for line in lines)


def test_a_score_that_cannot_be(gesso: Run, untrained: str) -> None:
    """What is wrong is said before a model is loaded."""
    score = ("storybook", "score", "--model", "nowhere", "--probe", untrained)
    assert "steps" in gesso(*score, "--steps", "0").refused()
    assert "euler" in gesso(*score, "--sampler", "eulr").refused()
    assert "small, medium, whole" in gesso(*score, "--world", "flat").refused()
    missing = gesso("storybook", "score", "--probe", "missing.safetensors").refused()
    assert missing.startswith("gesso: missing.safetensors: there is no probe here")
    assert missing.endswith("`gesso train probe` makes one.")


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
    other = gesso("storybook", "score", "--probe", "run/probe.safetensors", "--world", "whole").refused()
    assert "this probe reads the medium world, not the whole one" in other
    load_probe(Path("run/probe.safetensors"), "small")  # which is a part of it
    assert gesso("train", "probe", "-o", "run").refused().startswith("gesso: run/probe.safetensors: exists")
