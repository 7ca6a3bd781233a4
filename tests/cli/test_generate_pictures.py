"""``gesso generate`` with pictures: what it reports, what it refuses, and how it draws them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gesso.pipeline.metadata import read_request

Run = Callable[..., Any]


@pytest.fixture
def picture(here: Path) -> str:
    gradient = np.linspace(0, 255, 40 * 33 * 3).reshape(33, 40, 3).astype(np.uint8)
    Image.fromarray(gradient).save("in.png")
    return "in.png"


@pytest.fixture
def mask(here: Path) -> str:
    mask = Image.new("L", (20, 16))
    mask.paste(255, (4, 4, 12, 12))
    mask.save("mask.png")
    return "mask.png"


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_what_was_done_to_pictures_is_said(draw: Run, picture: str, mask: str) -> None:
    ended = draw("--image", picture, "--mask", mask, "--seed", "1", "--output", "a.png")
    assert ended.out == "a.png\n"
    assert ended.err.splitlines() == [
        "gesso: mask.png: resized from 20×16 to its picture's 40×33",
        "gesso: in.png: resized from 40×33 to 40×32",
    ]
    assert pixels("a.png").shape == (32, 40, 3)


def test_every_option_reaches_the_request(draw: Run, picture: str, mask: str) -> None:
    ended = draw(
        *("--image", picture, "--mask", mask, "--strength", "0.9", "--fit", "crop", "--mask-blur", "2"),
        *("--only-masked", "--mask-padding", "6", "--expand", "left=8,top=16", "--variation-seed", "5"),
        *("--variation-strength", "0.25", "--seed-resize", "48x32", "--tiling", "x", "--steps", "4"),
        *("--width", "32", "--height", "32", "--seed", "3", "--output", "a.png"),
    )
    assert ended.out == "a.png\n", ended
    written = read_request(Path("a.png")).request().to_json()
    assert written["image"]["path"] == "in.png"
    assert written["mask"]["path"] == "mask.png"
    expected = {
        "strength": 0.9,
        "fit": "crop",
        "mask_blur": 2,
        "only_masked": True,
        "mask_padding": 6,
        "expand": {"left": 8, "top": 16, "right": 0, "bottom": 0},
        "variation_seed": 5,
        "variation_strength": 0.25,
        "seed_resize": [48, 32],
        "tiling": "x",
    }
    assert {name: written[name] for name in expected} == expected
    assert pixels("a.png").shape == (33 + 16, 40 + 8, 3), "drawn at 32 × 32, but part of a larger picture"
    with Image.open("a.png") as opened:
        told = opened.info["parameters"]
    for setting in (
        *("Denoising strength: 0.9", "Mask blur: 2", "Inpaint area: Only masked", "Masked area padding: 6"),
        *("Variation seed: 5", "Variation seed strength: 0.25", "Seed resize from: 48x32", "Tiling: x"),
    ):
        assert setting in told


def test_two_passes_are_options_too(draw: Run, here: Path) -> None:
    options = ("--width", "32", "--height", "32", "--hires-scale", "1.5", "--hires-steps", "4")
    ended = draw(*options, "--hires-strength", "0.5", "--hires-upscaler", "Lanczos", "--output", "a.png")
    assert ended.out == "a.png\n", ended
    assert pixels("a.png").shape == (48, 48, 3)
    with Image.open("a.png") as opened:
        told = opened.info["parameters"]
    assert "Denoising strength: 0.5, Hires upscale: 1.5, Hires steps: 4, Hires upscaler: Lanczos" in told
    draw("--from", "a.png", "--output", "b.png", prompt="a red house")
    np.testing.assert_array_equal(pixels("b.png"), pixels("a.png"))


def test_variations_share_their_seed(draw: Run, here: Path) -> None:
    ended = draw("--count", "2", "--seed", "7", "--variation-strength", "0.2")
    assert ended.out.split() == ["outputs/00001-7.png", "outputs/00002-7.png"]
    line = draw("--count", "2", "--seed", "7", "--variation-strength", "0.2", "-o", "{seed}.png").refused()
    assert "2 pictures cannot share one name" in line


def test_a_picture_is_drawn_again_from_its_file(
    draw: Run, gesso: Run, picture: str, tiny_model: Path
) -> None:
    draw("--image", picture, "--strength", "0.5", "--seed", "3", "--output", "a.png")
    again = ("--from", "a.png", "--model", tiny_model)
    assert gesso(*again, "--output", "b.png").out == "b.png\n"
    np.testing.assert_array_equal(pixels("b.png"), pixels("a.png"))
    Path(picture).rename("moved.png")
    assert (
        gesso(*again, "--output", "c.png").refused().startswith("gesso: image: it was in.png, 40×33 pixels")
    )
    assert gesso(*again, "--output", "c.png", "--image", "moved.png").out == "c.png\n"
    np.testing.assert_array_equal(pixels("c.png"), pixels("a.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--image", "none.png"), "none.png: cannot be read (No such file or directory)"),
        (("--mask", "mask.png"), "mask: there is no picture that it is for. Give an image too."),
        (("--strength", "0.5"), "strength: there is no picture"),
        (("--image", "in.png", "--strength", "2"), "strength: 2.0 is outside 0…1"),
        (("--image", "in.png", "--strength", "0.1"), "strength: 0.1 of 2 steps is less than one"),
        (("--image", "in.png", "--expand", "up=8"), "expand: 'up' is no side"),
        (("--image", "in.png", "--mask", "black.png"), "mask: it is black all over"),
        (("--image", "words.txt"), "words.txt: it is no picture that gesso reads"),
        (
            ("--hires-scale", "2", "--hires-upscaler", "magic"),
            'hires_upscaler: no upscaler is called "magic"',
        ),
    ],
)
def test_refusals_name_the_file_or_field(
    draw: Run, picture: str, mask: str, options: tuple[str, ...], message: str
) -> None:
    Image.new("L", (8, 8)).save("black.png")
    Path("words.txt").write_text("a red house")
    assert draw(*options).refused().startswith(f"gesso: {message}")
    assert not Path("outputs").exists()
