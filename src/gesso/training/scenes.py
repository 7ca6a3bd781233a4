"""The randomness of a training step: scenes of the storybook world, their words, and noise."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from gesso.storybook.captions import caption
from gesso.storybook.compose import sample_scene
from gesso.storybook.scene import Scene
from gesso.storybook.world import WHOLE, World

CHINESE = 0.2
"""Share of captions in Chinese."""


def scenes_of(
    seed: int | str, step: int, count: int, world: World = WHOLE
) -> tuple[list[Scene], random.Random]:
    """The scenes of a step, and the random numbers that go on from there.

    They follow from the seed and the step alone, so a resumed run sees what it would have seen. None of
    them is held out.
    """
    rng = random.Random(f"{seed}/{step}")
    return [sample_scene(rng, world) for _ in range(count)], rng


def worded(scene: Scene, rng: random.Random) -> str:
    """A caption of a scene, in one of the two languages."""
    return caption(scene, rng, language="zh" if rng.random() < CHINESE else "en")


def draw(shape: torch.Size, rng: random.Random, device: torch.device) -> Tensor:
    """Standard normal noise that follows from the random numbers' state, the same on every device."""
    generator = torch.Generator("cpu").manual_seed(rng.getrandbits(63))
    return torch.randn(shape, generator=generator).to(device)
