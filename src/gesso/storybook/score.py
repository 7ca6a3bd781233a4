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
from gesso.storybook.judge import ATTRIBUTES, Verdict, judge
from gesso.storybook.labels import labels
from gesso.storybook.probe import Probe
from gesso.storybook.reading import Reading, interpret
from gesso.storybook.render import render
from gesso.storybook.scene import Scene
from gesso.storybook.shares import Shares, errors_of, shares_of
from gesso.storybook.world import World

RELIABLE = 0.99
"""Share of held-out renderings from which an attribute must be read rightly to be counted."""

VARIED, SEEDS = 8, 4
"""How many prompts are drawn how often to see how much pictures of one prompt differ."""

Draw = Callable[[Sequence[str], int], Tensor]
"""Prompts, and the seed of the first, to pictures, (n, 3, h, w) in [-1, 1]; prompt i has that seed + i."""


@dataclass(frozen=True)
class Prompt:
    """What is asked for, in words and as the scene that they came from."""

    text: str
    scene: Scene
    seen: bool


@dataclass(frozen=True)
class Score:
    """What a model reaches.

    Attributes:
        seen, unseen: of prompts whose combinations training showed, and of those it never did.
        total: of both together.
        constant: attributes that have one value in this world, which is right without being asked for.
        left_out: attributes that the probe does not read reliably, with the share it reads rightly.
        frechet: Fréchet distance between drawings and renderings in the probe's features, and
        frechet_ceiling: the same between two renderings of each prompt.
        diversity: mean distance of pictures of one prompt, beside that of renderings of it; None if it was
            not measured.
        psnr: of renderings after the autoencoder, in dB.
    """

    prompts: int
    seen: Shares
    unseen: Shares
    total: Shares
    constant: Mapping[str, str]
    left_out: Mapping[str, float]
    frechet: float
    frechet_ceiling: float
    diversity: float | None
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


def constants(world: World) -> dict[str, str]:
    """What all scenes of a world have in common of what is asked of a whole picture."""
    possible = {
        "sky": world.skies, "ground": world.grounds, "weather": world.weathers, "style": world.styles
    }  # fmt: skip
    return {name: values[0] for name, values in possible.items() if len(values) == 1}


class Examiner:
    """A probe, and how far it is to be trusted.

    Args:
        accuracy: for each attribute the share that the probe reads rightly off held-out renderings.
        size: side in pixels at which renderings are made.
        world: that the prompts are of.
    """

    def __init__(self, probe: Probe, accuracy: Mapping[str, float], size: int, world: World) -> None:
        self.probe = probe
        self.size = size
        self.constant = constants(world)
        varying = [name for name in ATTRIBUTES if name not in self.constant]
        self.left_out = {
            name: accuracy.get(name, 0.0) for name in varying if accuracy.get(name, 0.0) < RELIABLE
        }
        self.counted = [name for name in varying if name not in self.left_out]

    def examine(self, prompts: Sequence[Prompt], draw: Draw, psnr: float, varied: int = VARIED) -> Score:
        """Draw every prompt with its number as the seed, some with more seeds, and read the pictures.

        Args:
            psnr: of the autoencoder, for the record.
            varied: how many prompts are drawn with more seeds; 0 is no measure of diversity.
        """
        drawn = draw([prompt.text for prompt in prompts], 0)
        readings, features = self._read(drawn)
        scenes = [prompt.scene for prompt in prompts]
        rendered, truth = self._read(self._render(scenes))
        rng = Random("again")
        _, again = self._read(self._render([rearranged(scene, rng) for scene in scenes]))

        def shares(numbers: Sequence[int]) -> Shares:
            chosen = [scenes[number] for number in numbers]
            return self._shares(chosen, *([each[n] for n in numbers] for each in (readings, rendered)))

        numbers = range(len(prompts))
        return Score(
            prompts=len(prompts),
            seen=shares([number for number in numbers if prompts[number].seen]),
            unseen=shares([number for number in numbers if not prompts[number].seen]),
            total=shares(numbers),
            constant=self.constant,
            left_out=self.left_out,
            frechet=frechet_distance(features, truth),
            frechet_ceiling=frechet_distance(again, truth),
            diversity=self._diversity(prompts, drawn[:varied], draw, rng) if varied else None,
            psnr=psnr,
        )

    def _shares(
        self, scenes: Sequence[Scene], drawn: Sequence[Reading], rendered: Sequence[Reading]
    ) -> Shares:
        """What was read off drawings and renderings of scenes; chance reads the drawings half way round."""
        half = len(scenes) // 2
        verdicts = self._judge(scenes, drawn)
        return Shares(
            drawn=shares_of(verdicts),
            error=errors_of(verdicts),
            ceiling=shares_of(self._judge(scenes, rendered)),
            chance=shares_of(self._judge(scenes, [*drawn[half:], *drawn[:half]])),
        )

    def _judge(self, scenes: Sequence[Scene], readings: Sequence[Reading]) -> list[Verdict]:
        counted = {*self.counted, "whole"} if self.counted else ()
        verdicts = [
            judge(labels(scene), reading, self.counted)
            for scene, reading in zip(scenes, readings, strict=True)
        ]
        return [{name: right for name, right in verdict.items() if name in counted} for verdict in verdicts]

    @torch.no_grad()
    def _read(self, images: Tensor) -> tuple[list[Reading], Tensor]:
        glances = [self.probe(part) for part in images.split(64)]
        readings = [reading for glance in glances for reading in interpret(glance)]
        return readings, torch.cat([glance.features for glance in glances])

    def _render(self, scenes: Sequence[Scene]) -> Tensor:
        return torch.cat(
            [render(scenes[start : start + 32], self.size) for start in range(0, len(scenes), 32)]
        )

    def _diversity(self, prompts: Sequence[Prompt], drawn: Tensor, draw: Draw, rng: Random) -> float:
        """How far apart pictures of one prompt are, as a share of how far apart its renderings are."""
        first = prompts[: len(drawn)]
        texts = [prompt.text for prompt in first]
        more = [draw(texts, seed * len(prompts)) for seed in range(1, SEEDS)]
        apart = [0.0, 0.0]
        for number, prompt in enumerate(first):
            pictures = torch.stack([images[number] for images in (drawn, *more)])
            scenes = [rearranged(prompt.scene, rng) for _ in range(SEEDS)]
            for place, images in enumerate((pictures, self._render(scenes))):
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
