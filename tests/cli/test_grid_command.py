"""``gesso grid``: what it writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gesso.errors import NumericsError
from gesso.pipeline.metadata import read_request
from gesso.pipeline.pipeline import Pipeline

Run = Callable[..., Any]


@pytest.fixture
def grid(gesso: Run, tiny_model: Path) -> Run:
    def call(*options: str, prompt: str = "a red house") -> Any:
        return gesso("grid", prompt, "--model", tiny_model, "--device", "cpu", *options)

    return call


def test_it_writes_the_pictures_and_the_sheet(grid: Run, gesso: Run, tiny_model: Path) -> None:
    ended = grid("--x", "sampler=euler,heun", "--y", "steps=1..2", "--seed", "7")
    assert (ended.status, ended.err) == (0, "")
    names = [Path(path).name for path in ended.out.split()]
    assert names == ["x1-y1.png", "x2-y1.png", "x1-y2.png", "x2-y2.png", "grid.png"]
    gesso(
        "a red house", "-m", tiny_model, "--sampler", "heun", "--steps", "2", "-s", "7", "-o", "alone.png"
    )
    alone = np.asarray(Image.open("alone.png"))
    np.testing.assert_array_equal(np.asarray(Image.open("outputs/grid-00001/x2-y2.png")), alone)
    assert read_request(Path("outputs/grid-00001/x2-y2.png")) == read_request(Path("alone.png"))


def test_grids_are_numbered_on(grid: Run) -> None:
    grid("--x", "seed=1", "--steps", "1")
    assert grid("--x", "seed=1", "--steps", "1").out.split()[-1] == "outputs/grid-00002/grid.png"


def test_the_sheet_says_what_it_is(grid: Run, gesso: Run) -> None:
    grid("--x", "prompt:red=red,blue", "--seed", "7", "--steps", "1", "-o", "a {b}")
    with Image.open("a {b}/grid.png") as sheet:
        told = json.loads(sheet.info["gesso-grid"])  # pyright: ignore[reportArgumentType]
    assert told["axes"] == {"x": {"field": "prompt", "search": "red", "values": ["red", "blue"]}}
    assert told["cells"] == [
        {"x": 0, "y": 0, "z": 0, "file": "x1.png"},
        {"x": 1, "y": 0, "z": 0, "file": "x2.png"},
    ]
    assert told["request"]["seed"] == 7
    assert "it is the sheet of a grid" in gesso("--from", "a {b}/grid.png").refused()


def test_json_is_one_object(grid: Run) -> None:
    ended = grid("--x", "sampler=euler,Euler", "--seed", "7", "--steps", "1", "--json")
    report = json.loads(ended.out)
    assert report["sheet"] == "outputs/grid-00001/grid.png"
    cells = [{"x": 0, "y": 0, "z": 0}, {"x": 1, "y": 0, "z": 0}]
    assert report["pictures"] == [{"path": "outputs/grid-00001/x1.png", "seed": 7, "cells": cells}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--x", "sampler=euler,eulr"), 'x: sampler: no sampler is called "eulr"'),
        (("--x", "seed=1..1000", "--y", "steps=1..1000"), "1,000 × 1,000 × 1 cells are more than 1,000"),
        (("--x", "clip_skip=1,3"), "x: clip_skip: 3 is outside 1…2"),
        (("--x", "seed=1..2", "--cell-size", "8192", "--y", "steps=1,2"), "sheet: 16,"),
        (("--x", "seed=1", "--font", "no.ttf"), "no.ttf: it is no font"),
        (("--x", "seed=1", "--output", "a.png"), "'a.png' is no folder"),
    ],
)
def test_nothing_is_written_if_a_cell_cannot_be_drawn(
    grid: Run, here: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in grid(*options).refused()
    assert list(here.iterdir()) == []


def test_something_has_to_vary(grid: Run) -> None:
    assert grid("--steps", "1").status == 2


def test_nothing_is_overwritten(grid: Run) -> None:
    Path("old").mkdir()
    Path("old/x2.png").write_bytes(b"")
    assert "old/x2.png: it exists already" in grid("--x", "seed=1,2", "--output", "old").refused()
    assert [path.name for path in Path("old").iterdir()] == ["x2.png"]


def test_a_picture_that_fails_leaves_the_others(grid: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, calls = Pipeline.finish, iter((True, False))

    def failing(*arguments: Any) -> Any:
        if next(calls):
            raise NumericsError("latents are not finite")
        return finish(*arguments)

    monkeypatch.setattr(Pipeline, "finish", failing)
    ended = grid("--x", "seed=1,2", "--steps", "1")
    assert ended.status == 1
    assert ended.err.splitlines() == [
        "gesso: x seed=1: latents are not finite.",
        "gesso: grid: 1 of 2 pictures could not be drawn.",
    ]
    assert ended.out.split() == ["outputs/grid-00001/x2.png", "outputs/grid-00001/grid.png"]
