"""Scenes in words: what the built-in model learns to read, in many wordings."""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

from gesso.storybook import chinese, english
from gesso.storybook.scene import Scene

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

EXAMPLE_PROMPTS = (
    "a red house beside a pine tree, at night",
    "a blue balloon above a yellow house in the snow at sunset",
    "a white boat on the sea in the rain",
    "three pink flowers in a meadow under a rainbow",
    "a green car to the left of a red mushroom on the beach",
    "a black cat in front of a green tree on the grass, by day",
    "two brown dogs in the snow at night, snow is falling",
    "an orange lighthouse by the sea at sunset",
    "a big pink castle in the fog",
    "an orange balloon over a tree in a meadow",
    "a red rocket above a grey mountain at night",
    "a purple butterfly above a white flower in a meadow, by day",
    "a yellow train on the sand, by day",
    "a small blue windmill next to a brown house in the snow",
    "a white bird above a blue boat at sunset",
    "a grey car and an orange tree in the snow at dusk",
)
"""A tour of the world that the built-in model is taught, and beyond: no grey car or orange balloon was ever
shown to it."""


def caption(scene: Scene, rng: Random, *, language: Language = "en", complete: bool = False) -> str:
    """Word a scene, lower-case, differently each time.

    Every thing is named; now and then a colour, the sky, the ground, the weather or the style is left out,
    and usual colours, clear weather and the picture-book style mostly are. Things may be told in either
    order ("a left of b" or "b right of a"). The same generator state gives the same caption.

    Args:
        complete: leave out nothing but clear weather and the picture-book style.
    """
    if language == "zh":
        return chinese.caption(scene, rng, complete)
    said = english.everything(scene) if complete else english.chosen(scene, rng)
    return english.caption(scene, rng, said)


def canonical_caption(scene: Scene) -> str:
    """Word a scene plainly and completely, in English."""
    return english.plain(scene, english.everything(scene))
