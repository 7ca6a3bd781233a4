"""Maps of what each pixel shows: kinds and colours, at the picture's size or smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from gesso.storybook.paste import FIRST_OWNER
from gesso.storybook.scene import COLORS, KINDS, Scene

SKY_CLASS, GROUND_CLASS, FIRST_KIND_CLASS = 0, 1, 2
KIND_CLASSES = FIRST_KIND_CLASS + len(KINDS)
"""Classes of a kind map: sky, ground, then the kinds in their order."""

NO_COLOR, FIRST_COLOR_CLASS = 0, 1
COLOR_CLASSES = FIRST_COLOR_CLASS + len(COLORS)
"""Classes of a colour map: none (sky and ground), then the colours in their order."""


class Maps(NamedTuple):
    """Classes of each pixel or cell, int64, (b, h, w) each."""

    kinds: Tensor
    colors: Tensor


def segment(scenes: Sequence[Scene], owners: Tensor, side: int | None = None) -> Maps:
    """What the pixels of drawings show.

    Args:
        owners: as ``render.draw`` gives them, (b, h, w).
        side: of the maps; a cell is what most of its pixels are. None is the drawing's size.
    """
    most = max(len(scene.things) for scene in scenes)
    kinds = torch.zeros(len(scenes), FIRST_OWNER + most, dtype=torch.long)
    colors = torch.zeros_like(kinds)
    kinds[:, 1] = GROUND_CLASS
    for number, scene in enumerate(scenes):
        for place, thing in enumerate(scene.things, FIRST_OWNER):
            kinds[number, place] = FIRST_KIND_CLASS + KINDS.index(thing.kind)
            colors[number, place] = FIRST_COLOR_CLASS + COLORS.index(thing.color)
    if side is not None:
        owners = majority(owners, FIRST_OWNER + most, side)
    flat = owners.long().flatten(1)
    kind_map, color_map = (table.to(owners.device).gather(1, flat) for table in (kinds, colors))
    return Maps(kind_map.view_as(owners), color_map.view_as(owners))


def majority(classes: Tensor, count: int, side: int) -> Tensor:
    """The most frequent class in each cell: (b, h, w), integers under ``count`` -> (b, side, side)."""
    shares = one_hot(classes.long(), count).movedim(-1, 1).to(torch.float32)
    return adaptive_avg_pool2d(shares, side).argmax(dim=1)
