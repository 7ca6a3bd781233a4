"""``gesso samplers`` and its figure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.spacing import SCHEDULES
from gesso.pipeline.metadata import read_request

Run = Callable[..., Any]
SVG = "{http://www.w3.org/2000/svg}"


def test_the_listing_says_kind_and_options(gesso: Run) -> None:
    listed = {entry["name"]: entry for entry in json.loads(gesso("samplers", "--json").out)["samplers"]}
    assert list(listed) == list(SAMPLERS)
    assert listed["dpmpp_3m_sde"] == {
        "name": "dpmpp_3m_sde",
        "label": "DPM++ 3M SDE",
        "kind": "SDE",
        "order": 3,
        "default_schedule": "exponential",
        "options": ["eta", "s_noise"],
        "paper": "k-diffusion",
    }
    assert listed["heun"]["options"] == ["s_churn", "s_tmin", "s_tmax", "s_noise"]
    line = next(line for line in gesso("samplers").out.splitlines() if line.startswith("euler_ancestral "))
    assert line.split() == [
        "euler_ancestral",
        *["Euler", "a", "ancestral", "1", "uniform", "eta", "s_noise", "k-diffusion"],
    ]


@pytest.mark.parametrize("steps", [1, 20])
def test_the_figure_has_a_dot_for_each_step(gesso: Run, tmp_path: Path, steps: int) -> None:
    path = tmp_path / "schedules.svg"
    ended = gesso("samplers", "--plot", str(path), "--steps", str(steps))
    assert (ended.status, ended.err) == (0, f"The figure is in {path}.\n")
    root = ElementTree.parse(path).getroot()
    words = [name for text in root.iter(f"{SVG}text") for name in (text.text or "").split(", ")]
    assert set(SCHEDULES) <= set(words)
    rows: dict[str, list[float]] = {}
    for dot in root.iter(f"{SVG}circle"):
        rows.setdefault(dot.attrib["cy"], []).append(float(dot.attrib["cx"]))
    assert all(len(places) == steps and places == sorted(places) for places in rows.values())


def test_a_figure_that_cannot_be_drawn(gesso: Run, tmp_path: Path) -> None:
    path = tmp_path / "schedules.svg"
    ended = gesso("samplers", "--plot", str(path), "--steps", "1001")
    assert (ended.status, ended.out) == (1, "")
    assert "steps: 1001 is outside 1…1000" in ended.err
    assert not path.exists()
    path.write_text("mine")
    ended = gesso("samplers", "--plot", str(path))
    assert ended.status == 1
    assert "exists already" in ended.err
    assert path.read_text() == "mine"


def test_options_reach_the_request_and_come_back(draw: Run) -> None:
    walked = (
        "--sampler",
        "Heun",
        "--s-churn",
        "4",
        "--s-tmin",
        "0.1",
        "--s-tmax",
        "9",
        "--s-noise",
        "1.01",
    )
    guided = ("--guidance-scale", "5", "--guidance-rescale", "0.7", "--guidance-interval", "0.28,5.42")
    attended = ("--pag-scale", "3", "--pag-layers", "mid,up.1", "--sag-scale", "0.75")
    weighed = ("--freeu", "1.5,1.6,0.9,0.2")
    assert draw(*walked, *guided, *attended, *weighed, "--output", "first.png").status == 0
    request = read_request(Path("first.png")).request()
    assert (request.s_churn, request.s_tmin, request.s_tmax, request.s_noise) == (4, 0.1, 9, 1.01)
    assert (request.guidance_rescale, request.guidance_interval) == (0.7, (0.28, 5.42))
    assert (request.pag_scale, request.pag_layers, request.sag_scale) == (3, ("mid", "up.1"), 0.75)
    assert request.freeu == (1.5, 1.6, 0.9, 0.2)


def test_a_picture_is_drawn_again_without_its_samplers_options(
    gesso: Run, draw: Run, tiny_model: Path
) -> None:
    draw("--sampler", "Euler a", "--eta", "0.5", "--seed", "7", "--output", "first.png")
    again = (
        "generate",
        "-m",
        tiny_model,
        "--from",
        "first.png",
        "--sampler",
        "lms",
        "--output",
        "second.png",
    )
    ended = gesso(*again)
    assert (ended.status, ended.out) == (0, "second.png\n")
    assert read_request(Path("second.png")).request().eta is None
