"""The randomness of a training step: scenes of the storybook world, their words, and noise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context

import torch
from torch import Tensor

from gesso.storybook.captions import caption
from gesso.storybook.compose import sample_scene
from gesso.storybook.scene import Scene
from gesso.storybook.world import World
from gesso.text.chunks import split_chunks
from gesso.text.tokenizer import Tokenizer
from gesso.training.batches import workers

AT_ONCE = 2048
"""Scenes that one process makes up at once."""

CHINESE = 0.2
"""Share of captions in Chinese."""

STRANGE = 0.05
"""Share of English prompts into which a made-up word is put, as people's will have words never met."""

CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def many_scenes(seed: str, count: int, world: World) -> list[Scene]:
    """Scenes of which each follows from the seed and its number, none of them held out."""
    some = partial(_scenes_from, seed, world)
    starts = range(0, count, AT_ONCE)
    processes = min(workers(), len(starts) - 1)
    if processes < 1:
        return [scene for start in starts for scene in some(start, count)]
    with get_context("fork").Pool(processes) as pool:
        parts = pool.map(partial(some, count=count), starts, chunksize=1)
    return [scene for part in parts for scene in part]


def _scenes_from(seed: str, world: World, start: int, count: int) -> list[Scene]:
    numbers = range(start, min(start + AT_ONCE, count))
    return [sample_scene(random.Random(f"{seed}/{number}"), world) for number in numbers]


def worded(scene: Scene, rng: random.Random) -> str:
    """A caption of a scene, in one of the two languages."""
    return caption(scene, rng, language="zh" if rng.random() < CHINESE else "en")


def prompt_for(scene: Scene, rng: random.Random) -> str:
    """A caption as people would type it: now and then with a word in it that no caption has."""
    text = worded(scene, rng)
    return with_strange_word(text, rng) if rng.random() < STRANGE else text


def with_strange_word(text: str, rng: random.Random) -> str:
    """The same with a made-up word before one of its own; one word, as in Chinese, stays as it is."""
    words = text.split(" ")
    if len(words) == 1:
        return text
    syllables = (rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 3)))
    strange = "".join(syllables) + rng.choice(("", *CONSONANTS))
    words.insert(rng.randrange(len(words)), strange)
    return " ".join(words)


def tokens_of(captions: Sequence[str], tokenizer: Tokenizer, length: int) -> Tensor:
    """What the text encoder reads of captions, start, end and padding included: (b, length) int64.

    Of one too long for that, which no caption of the world is, the beginning.
    """
    return torch.tensor([split_chunks(tokenizer, text, length)[0].tokens for text in captions])


def noise_of(shape: Sequence[int], rng: random.Random) -> Tensor:
    """Standard normal noise that follows from the random numbers' state."""
    generator = torch.Generator("cpu").manual_seed(rng.getrandbits(63))
    return torch.randn(*shape, generator=generator)
