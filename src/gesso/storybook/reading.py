"""From what the probe says to what is in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from gesso.storybook.probe import CELLS, Glance, Probe
from gesso.storybook.scene import (
    COLORS,
    GROUNDS,
    HEIGHTS,
    KINDS,
    SKIES,
    STYLES,
    WEATHERS,
    Color,
    Ground,
    Kind,
    Sky,
    Style,
    Weather,
)

SURE = 0.4
"""Probability from which a cell counts as a thing's middle."""

NEAREST = 3
"""Cells between two middles at least: in the world's scenes they are four or more apart."""


@dataclass(frozen=True)
class Sight:
    """A thing that the probe sees: what it is, the middle of what is to be seen of it, its height and
    the y of its foot, in picture units."""

    kind: Kind
    color: Color
    x: float
    y: float
    size: float
    base: float

    @property
    def scale(self) -> float:
        """Its height, beside that of its kind."""
        return self.size / HEIGHTS[self.kind]


@dataclass(frozen=True)
class Reading:
    """What a picture shows."""

    sights: tuple[Sight, ...]
    sky: Sky
    ground: Ground
    weather: Weather
    style: Style


@torch.no_grad()
def read(probe: Probe, images: Tensor) -> list[Reading]:
    """Read pictures: (b, 3, h, w) in [-1, 1]."""
    return [reading for part in images.split(64) for reading in interpret(probe(part))]


def interpret(glance: Glance) -> list[Reading]:
    """Turn logits into statements, picture by picture."""
    peaks = glance.cells["middle"][:, 0].sigmoid()  # (b, CELLS, CELLS)
    highest = max_pool2d(peaks, 2 * NEAREST - 1, stride=1, padding=NEAREST - 1)
    found = (peaks == highest) & (peaks > SURE)
    names = {
        "sky": SKIES, "ground": GROUNDS, "weather": WEATHERS, "style": STYLES
    }  # fmt: skip
    chosen = {head: logits.argmax(dim=1).tolist() for head, logits in glance.pictures.items()}
    return [
        Reading(
            _sights(glance, number, found[number]),
            **{head: values[chosen[head][number]] for head, values in names.items()},
        )
        for number in range(len(peaks))
    ]


def _sights(glance: Glance, number: int, found: Tensor) -> tuple[Sight, ...]:
    rows, columns = found.nonzero(as_tuple=True)
    at = {head: logits[number, :, rows, columns] for head, logits in glance.cells.items()}  # (c, n) each
    kinds, colors = at["kind"].argmax(dim=0).tolist(), at["color"].argmax(dim=0).tolist()
    x = ((columns + at["place"][0]) / CELLS).tolist()
    y = (rows + at["place"][1]) / CELLS
    feet = (y + at["place"][3] / 4).tolist()
    places = zip(x, y.tolist(), at["place"][2].exp().tolist(), feet, strict=True)
    return tuple(
        Sight(KINDS[kind], COLORS[color], *place)
        for kind, color, place in zip(kinds, colors, places, strict=True)
    )
