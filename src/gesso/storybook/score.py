"""How well a model draws the world: what it was asked for, beside what renderings and chance reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from random import Random
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from gesso.storybook.captions import Language, caption
from gesso.storybook.compose import rearranged, sample_scene
from gesso.storybook.judge import ATTRIBUTES, Verdict, judge, share_right
from gesso.storybook.labels import labels
from gesso.storybook.probe import Probe
from gesso.storybook.reading import Reading, interpret
from gesso.storybook.render import render
from gesso.storybook.scene import Scene
from gesso.storybook.world import World

RELIABLE = 0.99
"""Share of held-out renderings from which an attribute must be read rightly to be counted."""

VARIED, SEEDS = 8, 4
"""How many prompts are drawn how often to see how much pictures of one prompt differ."""

Draw = Callable[[str, int], Tensor]
"""A prompt and a seed to a picture, (1, 3, h, w) in [-1, 1]."""


@dataclass(frozen=True)
class Prompt:
    """What is asked for, in words and as the scene that they came from."""

    text: str
    scene: Scene
    seen: bool


@dataclass(frozen=True)
class Shares:
    """The share of pictures that have each attribute: of those drawn, of renderings, and by chance."""

    drawn: Mapping[str, float]
    ceiling: Mapping[str, float]
    chance: Mapping[str, float]


@dataclass(frozen=True)
class Score:
    """What a model reaches.

    Attributes:
        seen, unseen: of prompts whose combinations training showed, and of those it never did.
        left_out: attributes that the probe does not read reliably, with the share it reads rightly.
        frechet: Fréchet distance between drawings and renderings in the probe's features, and
        frechet_ceiling: the same between two renderings of each prompt.
        diversity: mean distance of pictures of one prompt, beside that of renderings of it.
        psnr: of renderings after the autoencoder, in dB.
    """

    prompts: int
    seen: Shares
    unseen: Shares
    left_out: Mapping[str, float]
    frechet: float
    frechet_ceiling: float
    diversity: float
    psnr: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def fixed_prompts(count: int, world: World, seed: int = 0, language: Language = "en") -> list[Prompt]:
    """The same prompts each time, every second one of a combination that training never showed."""
    rng = Random(f"score {seed}")
    scenes = [sample_scene(rng, world, held_out=bool(number % 2)) for number in range(count)]
    return [
        Prompt(caption(scene, rng, language=language, complete=True), scene, seen=not number % 2)
        for number, scene in enumerate(scenes)
    ]


class Examiner:
    """A probe, and how far it is to be trusted.

    Args:
        accuracy: for each attribute the share that the probe reads rightly off held-out renderings.
        size: side in pixels at which renderings are made.
    """

    def __init__(self, probe: Probe, accuracy: Mapping[str, float], size: int) -> None:
        self.probe = probe
        self.size = size
        self.left_out = {
            name: accuracy.get(name, 0.0) for name in ATTRIBUTES if accuracy.get(name, 0.0) < RELIABLE
        }
        self.counted = [name for name in ATTRIBUTES if name not in self.left_out]

    def examine(self, prompts: Sequence[Prompt], draw: Draw, psnr: float) -> Score:
        """Draw every prompt with its number as the seed, some with more seeds, and read the pictures."""
        drawn = [draw(prompt.text, number) for number, prompt in enumerate(prompts)]
        readings, features = self._read(torch.cat(drawn))
        scenes = [prompt.scene for prompt in prompts]
        rendered, truth = self._read(self._render(scenes))
        rng = Random("again")
        _, again = self._read(self._render([rearranged(scene, rng) for scene in scenes]))

        def shares(seen: bool) -> Shares:
            chosen = [number for number, prompt in enumerate(prompts) if prompt.seen == seen]
            others = [chosen[(place + len(chosen) // 2) % len(chosen)] for place in range(len(chosen))]
            return Shares(
                drawn=share_right([self._judge(scenes[number], readings[number]) for number in chosen]),
                ceiling=share_right([self._judge(scenes[number], rendered[number]) for number in chosen]),
                chance=share_right(
                    [
                        self._judge(scenes[number], readings[other])
                        for number, other in zip(chosen, others, strict=True)
                    ]
                ),
            )

        return Score(
            prompts=len(prompts),
            seen=shares(True),
            unseen=shares(False),
            left_out=self.left_out,
            frechet=frechet_distance(features, truth),
            frechet_ceiling=frechet_distance(again, truth),
            diversity=self._diversity(prompts, drawn, draw, rng),
            psnr=psnr,
        )

    def _judge(self, scene: Scene, reading: Reading) -> Verdict:
        verdict = judge(labels(scene), reading, self.counted)
        return {name: right for name, right in verdict.items() if name not in self.left_out}

    @torch.no_grad()
    def _read(self, images: Tensor) -> tuple[list[Reading], Tensor]:
        glances = [self.probe(part) for part in images.split(64)]
        readings = [reading for glance in glances for reading in interpret(glance)]
        return readings, torch.cat([glance.features for glance in glances])

    def _render(self, scenes: Sequence[Scene]) -> Tensor:
        return torch.cat(
            [render(scenes[start : start + 32], self.size) for start in range(0, len(scenes), 32)]
        )

    def _diversity(
        self, prompts: Sequence[Prompt], drawn: Sequence[Tensor], draw: Draw, rng: Random
    ) -> float:
        """How far apart pictures of one prompt are, as a share of how far apart its renderings are."""
        apart = [0.0, 0.0]
        for number, prompt in enumerate(prompts[:VARIED]):
            more = [draw(prompt.text, number + seed * len(prompts)) for seed in range(1, SEEDS)]
            scenes = [rearranged(prompt.scene, rng) for _ in range(SEEDS)]
            for place, images in enumerate((torch.cat([drawn[number], *more]), self._render(scenes))):
                apart[place] += mean_distance(self._read(images)[1])
        return apart[0] / apart[1]


def mean_distance(features: Tensor) -> float:
    """Mean Euclidean distance between any two rows of (n, f)."""
    return fmean(float((one - other).norm()) for one, other in combinations(features, 2))


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Of the normal distributions with the means and covariances of two sets of features, (n, f) each.

    Heusel et al. 2017, equation 6: |μ₁ − μ₂|² + tr(C₁ + C₂ − 2 √(C₁C₂)). The trace of the root is the sum
    of the singular values of A₁A₂ᵀ, where Aᵢ are the centred features over √(n − 1).
    """
    first, second = (
        (each.double() - each.double().mean(dim=0)) / (len(each) - 1) ** 0.5 for each in (one, other)
    )
    means = (one.double().mean(dim=0) - other.double().mean(dim=0)).square().sum()
    roots = torch.linalg.svdvals(first @ second.T).sum()
    return max(0.0, float(means + first.square().sum() + second.square().sum() - 2 * roots))
