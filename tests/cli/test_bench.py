"""``gesso bench``: what it says of a model's speed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gesso.anatomy.dissect import dissect
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.weights.checkpoint import open_checkpoint

Run = Callable[..., Any]


@pytest.fixture
def bench(gesso: Run, tiny_model: Path) -> Run:
    return lambda *options: gesso(
        "bench", "--model", tiny_model, "--device", "cpu", "--steps", "3", *options
    )


def test_json_holds_figures_that_fit_together(bench: Run, tiny_model: Path, here: Path) -> None:
    ended = bench("--json", "--runs", "2", "--size", "72x64")
    assert (ended.status, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert (report["model"], report["width"], report["height"]) == ("tiny", 72, 64)
    assert (report["steps"], report["dtype"], report["device"]) == (3, "float32", "cpu")
    assert report["fastest_step_seconds"] <= report["step_seconds"] <= report["slowest_step_seconds"]
    assert report["steps_per_second"] == pytest.approx(1 / report["step_seconds"])
    assert report["pictures_per_second"] == pytest.approx(1 / report["picture_seconds"])
    assert report["picture_seconds"] > 2 * report["fastest_step_seconds"] + report["decode_seconds"] / 2
    macs = dissect(open_checkpoint(tiny_model).config, 72, 64).unet.macs.total
    assert report["step_operations"] == 4 * macs, "a multiplication and an addition, for two samples"
    reached = report["step_operations"] / report["step_seconds"]
    assert report["share_of_peak"] == pytest.approx(reached / report["matrix_product_peak"])
    assert report["peak_memory"] > 50e6, "less than torch alone"
    assert list(here.iterdir()) == [], "nothing is kept"


def test_it_says_which_optimisations_are_on(bench: Run) -> None:
    def on(*options: str) -> list[str]:
        listed = json.loads(bench("--json", *options).out)["optimisations"]
        assert [each["name"] for each in listed] == [
            name for name, each in OPTIMISATIONS.items() if "cpu" in each.devices
        ]
        return [each["name"] for each in listed if each["on"]]

    assert on("--engine", "plain") == []
    assert on("--engine", "cached-context,channels-last") == ["channels-last", "cached-context"]


def test_the_report_is_for_people(bench: Run) -> None:
    out = bench("--engine", "cached-context").out
    lines = {line.partition("  ")[0]: line for line in out.splitlines()}
    assert lines["tiny, 64 × 64, 3 steps, float32"]
    assert "it/s" in lines["step"]
    assert "pictures/s" in lines["picture"]
    assert "GFLOP/s" in lines["machine's peak"]
    assert " on " in lines["cached-context"]
    assert " off " in lines["winograd"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", "64x61"), "height: 61 is not a positive multiple of 8"),
        (("--engine", "nope"), 'engine: there is no optimisation "nope"'),
        (("--model", "no-such-folder/"), "no-such-folder"),
    ],
)
def test_it_refuses_as_generate_does(bench: Run, options: tuple[str, ...], words: str) -> None:
    assert words in bench(*options).refused()


@pytest.mark.parametrize("options", [("--steps", "1"), ("--runs", "0"), ("--size", "big")])
def test_wrong_usage(bench: Run, options: tuple[str, ...]) -> None:
    ended = bench(*options)
    assert ended.status == 2
    assert options[0] in ended.err
