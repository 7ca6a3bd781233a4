"""The built-in model: its size, its pictures beside those of Diffusers, and whether it follows prompts."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image

import gesso
from gesso.config import STORYBOOK
from gesso.pipeline.images import from_pil
from gesso.storybook.compose import sample_scene
from gesso.storybook.render import render
from gesso.storybook.scene import GROUNDS, SKIES, Ground, Sky
from gesso.storybook.words import GROUND_WORDS, SKY_WORDS
from gesso.storybook.world import SMALL
from gesso.weights.checkpoint import open_checkpoint
from gesso.weights.hub import STORYBOOK_FOLDER

PROMPT = "a red house beside a pine tree, at night"


@pytest.fixture(scope="module")
def pipe() -> gesso.Pipeline:
    return gesso.load(device="cpu")


def test_the_preset_describes_the_weights() -> None:
    assert open_checkpoint("storybook").config == STORYBOOK


def test_the_weights_are_small() -> None:
    files = [path for path in STORYBOOK_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 32_000_000


def test_diffusers_draws_the_same_picture(pipe: gesso.Pipeline) -> None:
    reference = StableDiffusionPipeline.from_pretrained(
        str(STORYBOOK_FOLDER), torch_dtype=torch.float32, safety_checker=None
    )
    reference.set_progress_bar_config(disable=True)
    reference.scheduler = DDIMScheduler.from_config(reference.scheduler.config)
    ours = pipe(PROMPT, sampler="ddim", steps=20, seed=7, guidance_scale=4.0).images[0]
    theirs: Image.Image = reference(
        PROMPT,
        num_inference_steps=20,
        guidance_scale=4.0,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    error = np.mean((np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)) ** 2)
    assert 10 * np.log10(255**2 / max(error, 1e-9)) >= 50


def backdrop_colors(image: torch.Tensor) -> torch.Tensor:
    """(b, 3, 128, 128) -> (b, 6): the mean colours of the uppermost and of the lowest rows."""
    top, bottom = image[:, :, :20].mean(dim=(2, 3)), image[:, :, -10:].mean(dim=(2, 3))
    return torch.cat([top, bottom], dim=1)


def typical_colors(sky: Sky, ground: Ground) -> torch.Tensor:
    rng = random.Random(0)
    scenes = [replace(sample_scene(rng, SMALL), sky=sky, ground=ground) for _ in range(32)]
    return backdrop_colors(render(scenes, 128)).mean(dim=0)


def test_sky_and_ground_follow_the_prompt(pipe: gesso.Pipeline) -> None:
    """The nearest of the twelve backdrops of the world is the one asked for."""
    asked = [(sky, ground) for sky in SKIES for ground in GROUNDS]
    typical = torch.stack([typical_colors(sky, ground) for sky, ground in asked])  # (12, 6)
    hits = 0
    for index, (sky, ground) in enumerate(asked):
        prompt = f"a yellow flower {GROUND_WORDS[ground][0]}, {SKY_WORDS[sky][0]}"
        drawn = backdrop_colors(from_pil(pipe(prompt, seed=index, steps=12).images[0]))  # (1, 6)
        hits += int((typical - drawn).norm(dim=1).argmin()) == index
    assert hits >= 10
