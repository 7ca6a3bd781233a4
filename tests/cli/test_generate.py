"""``gesso generate``: what it prints and writes, and how it draws a picture again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gesso.pipeline.metadata import read_request
from gesso.pipeline.request import GenerationRequest

PROMPT = "a red house"
Run = Callable[..., Any]


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# What it prints and writes


def test_it_prints_the_path_and_nothing_else(draw: Run, here: Path) -> None:
    ended = draw("--seed", "7")
    assert (ended.status, ended.out, ended.err) == (0, "outputs/00001-7.png\n", "")
    assert files(here) == ["outputs/00001-7.png"]
    assert pixels("outputs/00001-7.png").shape == (64, 64, 3)


def test_the_command_may_be_left_out(draw: Run, gesso: Run, tiny_model: Path) -> None:
    draw("--seed", "7", "--output", "short.png")
    ended = gesso("generate", "-m", tiny_model, "--steps", "2", "-s", "7", "-o", "long.png", PROMPT)
    assert ended.out == "long.png\n"
    np.testing.assert_array_equal(pixels("short.png"), pixels("long.png"))


def test_every_option_reaches_the_request(draw: Run) -> None:
    ended = draw(
        *("--negative-prompt", "blurry", "--guidance-scale", "3.5", "--sampler", "Euler a", "--eta", "0.5"),
        *("--schedule", "karras", "--seed", "18446744073709551614", "--count", "2", "--batch-size", "2"),
        *("--width", "72", "--height", "40", "--clip-skip", "2", "--output", "{index}.png"),
    )
    assert ended.out == "0.png\n1.png\n"
    request = read_request(Path("1.png")).request()
    assert request.to_json() == {
        **GenerationRequest(PROMPT).to_json(),
        "negative_prompt": "blurry",
        "steps": 2,
        "guidance_scale": 3.5,
        "sampler": "euler_ancestral",
        "schedule": "karras",
        "seed": 2**64 - 1,
        "count": 1,
        "batch_size": 1,
        "width": 72,
        "height": 40,
        "eta": 0.5,
        "clip_skip": 2,
    }
    assert pixels("1.png").shape == (40, 72, 3)


def test_pictures_are_numbered_on(draw: Run) -> None:
    draw("--seed", "7")
    ended = draw("--seed", "20", "--count", "3", "--batch-size", "2", "--steps", "1")
    assert ended.out.split() == [f"outputs/0000{n}-{n + 18}.png" for n in (2, 3, 4)]


def test_output_is_a_pattern(draw: Run, here: Path) -> None:
    ended = draw("--seed", "7", "--count", "2", "--output", "new/{seed:04}_{index:02}.png", "--steps", "1")
    assert ended.out.split() == ["new/0007_00.png", "new/0008_01.png"]
    ended = draw("--seed", "7", "--output", "{seed}/", "--steps", "1")
    assert ended.out.split() == ["7/00001-7.png"]


def test_json_is_one_object(draw: Run) -> None:
    ended = draw("--json", "--count", "2", "--seed", "7", "--output", "ø{index}.png", prompt="ein 🏠")
    assert ended.status == 0
    assert ended.err == 'gesso: tiny never saw the words "ein" and "🏠", and can only guess at them\n'
    assert ended.out.count("\n") == 1
    assert ended.out.isascii()
    report = json.loads(ended.out)
    assert report["pictures"] == [{"path": "ø0.png", "seed": 7}, {"path": "ø1.png", "seed": 8}]
    assert report["request"]["prompt"] == "ein 🏠"
    assert report["request"]["width"] == 64
    assert report["model"] == "tiny"
    assert report["seconds"] > 0


def test_json_says_nothing_of_a_failure(draw: Run) -> None:
    assert (
        draw("--json", "--width", "7").refused()
        == "gesso: width: 7 is not a positive multiple of 8. Use 8."
    )


# From a picture


def test_a_picture_is_made_again(draw: Run, gesso: Run, tiny_model: Path) -> None:
    several = ("--seed", "7", "--count", "3", "--batch-size", "3", "--output", "a{index}.png")
    draw(*several, "--sampler", "euler_ancestral", "--width", "72")
    ended = gesso("--from", "a2.png", "--model", tiny_model, "--output", "again.png")
    assert (ended.status, ended.out, ended.err) == (0, "again.png\n", "")
    assert np.abs(pixels("again.png").astype(int) - pixels("a2.png")).max() <= 1
    gesso("generate", "--from", "again.png", "--model", tiny_model, "--output", "third.png")
    assert Path("third.png").read_bytes() == Path("again.png").read_bytes()


def test_options_override_the_picture(draw: Run, gesso: Run, tiny_model: Path) -> None:
    walk = ("--sampler", "euler", "--schedule", "karras")
    draw("--seed", "7", "--negative-prompt", "blurry", "--output", "a.png", *walk)
    gesso("--from", "a.png", "-m", tiny_model, "--seed", "8", "-n", "", "-o", "b.png", "a tree")
    read = read_request(Path("b.png")).request()
    assert (read.seed, read.prompt, read.negative_prompt) == (8, "a tree", "")
    assert (read.sampler, read.schedule, read.steps) == ("euler", "karras", 2)
    gesso("--from", "a.png", "-m", tiny_model, "--sampler", "ddim", "-o", "c.png")
    read = read_request(Path("c.png")).request()
    assert (read.sampler, read.schedule) == ("ddim", "leading"), "the schedule went with the sampler"


def test_another_model_and_unknown_settings_are_mentioned(gesso: Run, tiny_model: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text(
        "parameters",
        "a tree\nSteps: 2, Sampler: Euler a, Seed: 3, Model: v1-5, Lo\x1bra: 1, Model hash: 6ce0",
    )
    Image.new("RGB", (8, 8)).save("web.png", pnginfo=info)
    ended = gesso("--from", "web.png", "--model", tiny_model, "--output", "c.png")
    assert (ended.status, ended.out) == (0, "c.png\n")
    assert ended.err.splitlines() == [
        "gesso: web.png: drawing it as a1111 does",
        r"gesso: web.png: left out what gesso does not know: Lo\x1bra: 1",
        "gesso: web.png was drawn with v1-5 (6ce0); drawing with tiny",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "lost.png: cannot be read (No such file or directory)"),
        (b"", "not a PNG, JPEG or WebP file"),
        (b"<html>", "not a PNG, JPEG or WebP file"),
        (b"\x89PNG\r\n\x1a\n", "carries no request"),
    ],
)
def test_pictures_that_say_nothing_are_refused(
    gesso: Run, here: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        Path("lost.png").write_bytes(content)
    before = files(here)
    line = gesso("--from", "lost.png").refused()
    assert line.startswith("gesso: lost.png: ")
    assert message in line
    assert files(here) == before


def test_a_picture_may_ask_for_what_cannot_be_drawn(gesso: Run) -> None:
    for text, message in (
        ('{"request": {"prompt": "x", "steps": 10000000}}', "gesso: steps: 10000000 is outside 1…1000"),
        ('{"request": {"prompt": "x", "colour": 1}}', "gesso: colour: "),
        ('{"request": {"prompt": "x", "version": 2}}', "gesso: version: "),
        ('{"request": []}', "gesso: a.png: its gesso text is damaged"),
        ("[" * 100_000, "gesso: a.png: its gesso text is damaged"),
    ):
        info = PngImagePlugin.PngInfo()
        info.add_text("gesso", text)
        Image.new("RGB", (8, 8)).save("a.png", pnginfo=info)
        assert gesso("--from", "a.png").refused().startswith(message)
