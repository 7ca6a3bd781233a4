"""What a picture shows: a sky, a ground, one to three things and how they stand to each other.

Places are in picture units: x runs from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom). A scene is
plain data; ``render`` draws it and ``captions`` words it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Sky = Literal["day", "sunset", "night"]
Ground = Literal["grass", "snow", "sand", "water"]
Kind = Literal[
    "mountain", "castle", "house", "tree", "pine", "mushroom", "flower", "car", "boat",
    "balloon", "kite", "rocket",
]  # fmt: skip
Color = Literal[
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "black"
]  # fmt: skip
Relation = Literal["alone", "beside", "left of", "right of", "above", "below", "between", "together"]

SKIES: tuple[Sky, ...] = get_args(Sky)
GROUNDS: tuple[Ground, ...] = get_args(Ground)
KINDS: tuple[Kind, ...] = get_args(Kind)
COLORS: tuple[Color, ...] = get_args(Color)
RELATIONS: tuple[Relation, ...] = get_args(Relation)

FLYING: tuple[Kind, ...] = ("balloon", "kite", "rocket")
STANDING: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in FLYING)
NATURAL: tuple[Kind, ...] = ("mountain", "tree", "pine")
"""Kinds with a colour of their own, which a caption need not name."""

WIDTHS: dict[Kind, float] = {
    "mountain": 1.3, "castle": 1.05, "house": 1.0, "tree": 0.84, "pine": 0.74, "mushroom": 0.96,
    "flower": 0.74, "car": 1.45, "boat": 1.06, "balloon": 0.76, "kite": 0.82, "rocket": 0.62,
}  # fmt: skip
"""Width of each kind as a multiple of its height."""

LARGEST_TILT: dict[Kind, float] = {"kite": 0.3, "rocket": 0.25}


@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    Attributes:
        kind: what it is.
        color: its main colour; None for its natural one (a green pine), which captions leave out.
        x: its middle.
        base: y of its lower edge.
        size: its height; the width follows from the kind.
        mirrored: whether left and right are swapped.
        tilt: turn about its middle, in radians, clockwise.
    """

    kind: Kind
    color: Color | None
    x: float
    base: float
    size: float
    mirrored: bool = False
    tilt: float = 0.0

    @property
    def width(self) -> float:
        return WIDTHS[self.kind] * self.size

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, before tilting."""
        return self.x - self.width / 2, self.base - self.size, self.x + self.width / 2, self.base


@dataclass(frozen=True)
class Backdrop:
    """What varies behind the things without ever being named.

    Attributes:
        horizon: y where the ground begins.
        light_x: middle of the sun or moon.
        light_y: its height in the sky (at sunset the sun sits on the horizon instead).
        phase: where in 0…1 hills, clouds, waves and stars begin.
    """

    horizon: float
    light_x: float
    light_y: float
    phase: float


@dataclass(frozen=True)
class Scene:
    """A picture as data.

    Attributes:
        things: one to three, in the order a caption names them.
        relation: how the first stands to the others: of two "beside", "left of", "right of", "above" or
            "below"; of three "above" (both others), "between" (the others) or "together" (just a row).
    """

    sky: Sky
    ground: Ground
    things: tuple[Thing, ...]
    relation: Relation
    backdrop: Backdrop


def sample_scene(rng: Random) -> Scene:
    """Draw a scene at random; the same generator state gives the same scene."""
    count = rng.choices((1, 2, 3), weights=(45, 40, 15))[0]
    relation = _sample_relation(rng, count)
    kinds = _sample_kinds(rng, count, relation)
    if relation == "alone":
        things = (_alone(rng, kinds[0]),)
    elif relation in ("above", "below"):
        things = _stack(rng, kinds, relation)
    else:
        things = _row(rng, kinds, relation)
    return Scene(_sample_sky(rng), _sample_ground(rng, kinds), things, relation, _sample_backdrop(rng))


def _sample_relation(rng: Random, count: int) -> Relation:
    choices: dict[int, tuple[Relation, ...]] = {
        1: ("alone",),
        2: ("beside", "beside", "left of", "right of", "above", "below"),
        3: ("above", "between", "together"),
    }
    return rng.choice(choices[count])


def _sample_kinds(rng: Random, count: int, relation: Relation) -> list[Kind]:
    """Kinds in caption order: only what flies is above, and only what stands is below."""
    if relation == "above":
        return [rng.choice(FLYING), *(rng.choice(STANDING) for _ in range(count - 1))]
    if relation == "below":
        return [rng.choice(STANDING), rng.choice(FLYING)]
    return [rng.choice(KINDS) for _ in range(count)]


def _sample_sky(rng: Random) -> Sky:
    return rng.choice(SKIES)


def _sample_ground(rng: Random, kinds: list[Kind]) -> Ground:
    """Any ground under anything; boats are on the water more often than not."""
    if "boat" in kinds and rng.random() < 0.5:
        return "water"
    return rng.choice(GROUNDS)


def _sample_backdrop(rng: Random) -> Backdrop:
    side = rng.choice((0.0, 1.0))
    return Backdrop(
        horizon=rng.uniform(0.62, 0.70),
        light_x=abs(side - rng.uniform(0.12, 0.24)),
        light_y=rng.uniform(0.13, 0.19),
        phase=rng.random(),
    )


def _sample_thing(rng: Random, kind: Kind, x: float, base: float, size: float) -> Thing:
    natural = kind in NATURAL and rng.random() < 0.5
    tilt = LARGEST_TILT.get(kind, 0.0)
    return Thing(
        kind=kind,
        color=None if natural else rng.choice(COLORS),
        x=x,
        base=base,
        size=size,
        mirrored=rng.random() < 0.5,
        tilt=rng.uniform(-tilt, tilt),
    )


def _sample_base(rng: Random, kind: Kind, size: float) -> float:
    """Feet on the ground (a mountain's further off), or the lower edge of what floats in mid-air."""
    if kind in FLYING:
        return min(rng.uniform(0.40, 0.50) + size / 2, 0.80)
    return rng.uniform(0.76, 0.82) if kind == "mountain" else rng.uniform(0.82, 0.91)


def _alone(rng: Random, kind: Kind) -> Thing:
    size = min(rng.uniform(0.50, 0.62), 0.78 / WIDTHS[kind])
    x = rng.uniform(0.4, 0.6)
    return _sample_thing(rng, kind, x, _sample_base(rng, kind, size), size)


def _spread(rng: Random, kinds: list[Kind], tallest: float) -> tuple[list[float], float]:
    """Middles of things side by side, left to right, and the height at which they all fit."""
    margin, gap = 0.02, 0.03
    room = 1 - 2 * margin - gap * (len(kinds) - 1)
    widths = [WIDTHS[kind] for kind in kinds]
    size = min(tallest, room / sum(widths))
    slack = room - size * sum(widths)
    cuts = sorted(rng.uniform(0.15, 0.85) * slack for _ in kinds)
    middles, left = [], margin
    for cut, width in zip(cuts, widths, strict=True):
        middles.append(left + cut + size * width / 2)
        left += size * width + gap
    return middles, size


def _row(rng: Random, kinds: list[Kind], relation: Relation) -> tuple[Thing, ...]:
    """Things side by side in the order the relation asks for."""
    order = list(range(len(kinds)))  # the caption's number of each thing, from left to right
    if relation == "right of":
        order = [1, 0]
    elif relation == "between":
        order = rng.choice(([1, 0, 2], [2, 0, 1]))
    elif relation in ("beside", "together"):
        rng.shuffle(order)
    tallest = rng.uniform(0.42, 0.52) if len(kinds) == 2 else rng.uniform(0.36, 0.42)
    middles, size = _spread(rng, [kinds[number] for number in order], tallest)
    x_of = dict(zip(order, middles, strict=True))
    return tuple(
        _sample_thing(rng, kind, x_of[number], _sample_base(rng, kind, size), size)
        for number, kind in enumerate(kinds)
    )


def _stack(rng: Random, kinds: list[Kind], relation: Relation) -> tuple[Thing, ...]:
    """One flying thing over one or two that stand."""
    flying, *standing = kinds if relation == "above" else reversed(kinds)
    middles, size = _spread(rng, standing, rng.uniform(0.36, 0.42))
    if len(standing) == 1:
        middles = [rng.uniform(0.36, 0.64)]
    below = [
        _sample_thing(rng, kind, x, rng.uniform(0.90, 0.95), size)
        for kind, x in zip(standing, middles, strict=True)
    ]
    height = rng.uniform(0.38, 0.43)
    centre = sum(middles) / len(middles) + rng.uniform(-0.1, 0.1)
    above = _sample_thing(rng, flying, centre, rng.uniform(0.02, 0.05) + height, height)
    return (above, *below) if relation == "above" else (*below, above)
