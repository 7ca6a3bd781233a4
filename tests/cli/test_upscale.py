"""``gesso upscale``: by a filter alone, and with a model that draws over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture
def picture(here: Path) -> Image.Image:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (11, 21, 3), dtype=np.uint8))
    picture.save("in.png")
    return picture


def test_by_a_filter(gesso: Run, picture: Image.Image) -> None:
    ended = gesso("upscale", "in.png", "--scale", "1.5")
    assert (ended.status, ended.out, ended.err) == (0, "outputs/in-1.5x.png\n", "")
    with Image.open("outputs/in-1.5x.png") as drawn:
        expected = picture.resize((31, 16), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(expected))
    assert gesso("upscale", "in.png", "--upscaler", "nearest", "-o", "near.png").out == "near.png\n"
    with Image.open("near.png") as near:
        np.testing.assert_array_equal(np.asarray(near)[::2, ::2], np.asarray(picture))
    assert gesso("upscale", "in.png", "-o", "near.png").refused() == (
        "gesso: near.png: it exists already. Choose another name, or a folder."
    )


def test_a_model_draws_over_it(gesso: Run, picture: Image.Image, tiny_model: Path) -> None:
    arguments = ("upscale", "in.png", "--prompt", "a red house", "--model", tiny_model, "--device", "cpu")
    ended = gesso(*arguments, "--steps", "4", "--strength", "0.5", "--seed", "1", "-o", "a.png")
    assert ended.out == "a.png\n", ended
    with Image.open("a.png") as drawn:
        assert drawn.size == (40, 16)
        assert "Denoising strength: 0.5" in drawn.info["parameters"]
        plain = np.asarray(picture.resize((40, 16), Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(np.asarray(drawn) - plain).mean() > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scale", "9"), "scale: 9.0 is outside 1…8"),
        (("--upscaler", "latent"), "upscaler: latent enlarges latents, not pictures"),
        (("--upscaler", "none.pth"), "none.pth: "),
        (("--output", "a.jpg"), "a.jpg: gesso writes PNG files"),
    ],
)
def test_refusals(gesso: Run, picture: Image.Image, options: tuple[str, ...], message: str) -> None:
    assert gesso("upscale", "in.png", *options).refused().startswith(f"gesso: {message}")
    assert gesso("upscale", "none.png").refused().startswith("gesso: none.png: cannot be read")
    assert not Path("outputs").exists()
