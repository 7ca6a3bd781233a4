"""Left and right, as a text encoder is taught them."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from statistics import fmean

import torch

from gesso.storybook.compose import sample_scene
from gesso.storybook.scene import COLORS, KINDS
from gesso.storybook.world import MEDIUM
from gesso.training.sides import Sides, has_sides, sides_of

SIDED = replace(MEDIUM, relations=("left of", "right of"))


def test_the_group_on_the_left_is_the_one_that_stands_there() -> None:
    rng = Random(3)
    scenes = [sample_scene(rng, SIDED) for _ in range(60)]
    for scene, groups in zip(scenes, sides_of(scenes).tolist(), strict=True):
        assert has_sides(scene)
        middles = [fmean(thing.x for thing in group.things) for group in scene.groups]
        for group, middle, (kind, color, left) in zip(scene.groups, middles, groups, strict=True):
            assert (KINDS[kind], COLORS[color]) == (group.kind, group.color)
            assert bool(left) == (middle == min(middles))


def test_what_has_no_sides() -> None:
    rng = Random(4)
    other = replace(MEDIUM, relations=("alone", "beside", "above", "between", "in front of"))
    assert not any(has_sides(sample_scene(rng, other)) for _ in range(60))


def test_the_head_reads_a_context_that_says_it() -> None:
    """And knows nothing before it has learnt."""
    rng = Random(5)
    torch.manual_seed(0)
    groups = sides_of([sample_scene(rng, SIDED) for _ in range(64)])
    head = Sides(16)
    told = torch.zeros(64, 2, 16)  # a token for each group: its kind, its colour, its side
    told[..., 0], told[..., 1], told[..., 2] = groups.unbind(dim=-1)
    before = float(head.loss(told, groups).detach())
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(told, groups).backward()
        optimizer.step()
    assert 0.5 < before < 1.2
    assert float(head.loss(told, groups).detach()) < 0.3
