"""A batch of several prompts: each picture is the one that its prompt draws alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gesso.errors import RequestError
from gesso.pipeline.load import load
from gesso.pipeline.medley import draw_medley
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import GenerationRequest

LONG = "a red house beside a pine tree, " * 6
PROMPTS = ["a red house", LONG, "[a boat:a house:0.5] at (night:1.3)"]


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> Pipeline:
    return load(tiny_model, device="cpu")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"guidance_scale": 1.0},
        {"sampler": "euler_ancestral"},
        {"sampler": "dpmpp_sde"},
        {"pag_scale": 2.0},
    ],
    ids=str,
)
def test_each_picture_is_that_of_its_own_request(pipeline: Pipeline, fields: dict[str, object]) -> None:
    request = GenerationRequest("nothing", negative_prompt="blur", steps=3, seed=5, **fields)
    together = draw_medley(pipeline, PROMPTS, request)
    for number, (prompt, picture) in enumerate(zip(PROMPTS, together, strict=True)):
        alone = pipeline(prompt, negative_prompt="blur", steps=3, seed=5 + number, **fields).images[0]
        np.testing.assert_allclose(np.asarray(picture, int), np.asarray(alone, int), atol=1)
    assert np.asarray(together[0], int).std() > 1
    assert np.abs(np.asarray(together[0], int) - np.asarray(together[2], int)).max() > 8


def test_weights_must_agree(pipeline: Pipeline) -> None:
    request = GenerationRequest("nothing", steps=1, seed=0)
    with pytest.raises(RequestError, match="same weights"):
        draw_medley(pipeline, ["a house", "a house AND a boat"], request)
    assert len(draw_medley(pipeline, ["a house AND snow", "a tree AND snow"], request)) == 2
