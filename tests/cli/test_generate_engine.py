"""``--engine``: the same picture by other ways, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]

NAMED = "channels-last,winograd,fused-resnet,cached-context"


def test_every_engine_says_the_same_of_its_picture(draw: Run) -> None:
    pictures = []
    for engine in ("auto", "plain", NAMED):
        ended = draw("--seed", "7", "--engine", engine, "--output", f"{len(pictures)}.png")
        assert (ended.status, ended.err) == (0, "")
        with Image.open(f"{len(pictures)}.png") as picture:
            pictures.append((picture.info, np.asarray(picture.convert("RGB")).astype(int)))
    (auto, _), (plain, reference), (named, ours) = pictures
    assert auto == plain == named
    assert np.abs(ours - reference).max() <= 1


@pytest.mark.parametrize("engine", ["turbo", "winograd,turbo"])
def test_an_unknown_optimisation_is_refused(draw: Run, here: Path, engine: str) -> None:
    line = draw("--engine", engine).refused()
    assert line.startswith('gesso: engine: there is no optimisation "turbo". Use auto, plain, or some of ')
    assert "winograd" in line
    assert not list(here.iterdir())


def test_merged_tokens_are_part_of_the_picture(draw: Run) -> None:
    assert draw("--seed", "7", "--token-merging", "0.5", "--output", "merged.png").status == 0
    assert draw("--seed", "7", "--output", "whole.png").status == 0
    with Image.open("merged.png") as merged, Image.open("whole.png") as whole:
        assert "Token merging ratio: 0.5" in merged.info["parameters"]
        assert "Token merging" not in whole.info["parameters"]
        assert np.asarray(merged).tobytes() != np.asarray(whole).tobytes()


def test_a_share_that_cannot_be_merged_is_refused(draw: Run, here: Path) -> None:
    line = draw("--token-merging", "0.8").refused()
    assert line.startswith("gesso: token_merging: 0.8 is outside 0…0.75.")
    assert not list(here.iterdir())
