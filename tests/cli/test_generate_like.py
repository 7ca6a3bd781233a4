"""Drawing as other programs do, and their pictures again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from gesso.pipeline.metadata import read_request

Run = Callable[..., Any]
A1111 = "Steps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 3, Seed: 3, Size: 64x64"


def written(text: str, name: str = "web.png") -> str:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(name, pnginfo=info)
    return name


@pytest.mark.parametrize("program", ["a1111", "forge", "comfyui", "diffusers"])
def test_a_profile_is_written_down_field_by_field(gesso: Run, tiny_model: Path, program: str) -> None:
    ended = gesso("a tree", "--like", program, "--steps", "2", "-s", "5", "-m", tiny_model, "-o", "a.png")
    assert ended.status == 0, ended
    request = read_request(Path("a.png")).request()
    assert request.steps == 2
    assert request.sigma_rules == {"comfyui": "comfy"}.get(program, program)
    again = gesso("--from", "a.png", "-m", tiny_model, "-o", "b.png")
    assert again.status == 0, again
    assert Image.open("a.png").tobytes() == Image.open("b.png").tobytes()


def test_options_win_over_the_profile(gesso: Run, tiny_model: Path) -> None:
    gesso(
        *("a tree", "--like", "a1111", "--noise-source", "cpu", "--pad-prompts", "--steps", "2"),
        *("--clip-skip", "2", "-m", tiny_model, "-o", "a.png"),
    )
    request = read_request(Path("a.png")).request()
    assert (request.noise_source, request.pad_prompts, request.clip_skip) == ("cpu", True, 2)
    assert request.comma_backtrack == 20


def test_a_picture_of_a1111_draws_as_the_same_options_do(gesso: Run, tiny_model: Path) -> None:
    source = written(f"a tree\n{A1111}, Version: v1.10.1")
    ended = gesso("--from", source, "-m", tiny_model, "-o", "a.png", "--json")
    assert json.loads(ended.out)["from"] == {"model": None, "version": "v1.10.1", "unknown": {}}
    gesso(
        *(
            "a tree",
            "--like",
            "a1111",
            "--steps",
            "2",
            "--sampler",
            "DPM++ 2M Karras",
            "-g",
            "3",
            "-s",
            "3",
        ),
        *("-W", "64", "-H", "64", "-m", tiny_model, "-o", "b.png"),
    )
    assert Image.open("a.png").tobytes() == Image.open("b.png").tobytes()


def test_a_picture_of_another_program_can_be_drawn_like_a_third(gesso: Run, tiny_model: Path) -> None:
    gesso("--from", written(f"a tree\n{A1111}"), "--like", "comfyui", "-m", tiny_model, "-o", "a.png")
    assert read_request(Path("a.png")).request().sigma_rules == "comfy"


def test_a_picture_drawn_over_another_asks_for_that_one(gesso: Run, tiny_model: Path) -> None:
    source = written(f"a tree\n{A1111}, Denoising strength: 0.75, Mask blur: 4")
    assert "Give that one with --image" in gesso("--from", source, "-m", tiny_model).refused()
    Image.new("RGB", (64, 64)).save("ground.png")
    ended = gesso("--from", source, "--image", "ground.png", "-m", tiny_model, "-o", "a.png")
    assert ended.status == 0, ended


def test_an_unknown_program_is_refused(gesso: Run) -> None:
    line = gesso("a tree", "--like", "invokeai").refused()
    assert line.startswith('gesso: like: no profile is called "invokeai". There are: a1111, forge, ')
