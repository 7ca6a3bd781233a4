"""What a picture shows: a sky, a ground, some weather, and things in groups that stand in a relation.

Places are in picture units: x runs from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom). A scene is
plain data: ``compose`` makes one up, ``render`` draws it, ``captions`` words it and ``labels`` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Sky = Literal["day", "sunset", "night"]
Ground = Literal["grass", "snow", "sand", "water"]
Weather = Literal["clear", "cloudy", "rain", "snowfall", "rainbow", "fog"]
Style = Literal["picture book", "flat", "watercolour", "pencil", "pixel art"]
Kind = Literal[
    "mountain", "castle", "house", "tree", "pine", "mushroom", "flower", "car", "boat",
    "balloon", "kite", "rocket",
    "lighthouse", "windmill", "train", "cat", "dog", "duck", "bird", "butterfly",
]  # fmt: skip
Color = Literal[
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "black", "grey"
]  # fmt: skip
Scale = Literal["small", "big"]
Relation = Literal[
    "alone", "beside", "left of", "right of", "above", "below", "in front of", "behind", "between",
    "together",
]  # fmt: skip

SKIES: tuple[Sky, ...] = get_args(Sky)
GROUNDS: tuple[Ground, ...] = get_args(Ground)
WEATHERS: tuple[Weather, ...] = get_args(Weather)
STYLES: tuple[Style, ...] = get_args(Style)
KINDS: tuple[Kind, ...] = get_args(Kind)
COLORS: tuple[Color, ...] = get_args(Color)
SCALES: tuple[Scale, ...] = get_args(Scale)
RELATIONS: tuple[Relation, ...] = get_args(Relation)

FLYING: tuple[Kind, ...] = ("balloon", "kite", "rocket", "bird", "butterfly")
STANDING: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in FLYING)
FLOATING: tuple[Kind, ...] = ("boat", "duck")
"""Kinds that lie on water by themselves; what else stands there has an island under it."""

USUAL_COLORS: dict[Kind, Color] = {
    "mountain": "grey", "castle": "grey", "house": "red", "tree": "green", "pine": "green",
    "mushroom": "red", "flower": "pink", "car": "red", "boat": "white", "balloon": "red",
    "kite": "yellow", "rocket": "white", "lighthouse": "white", "windmill": "white", "train": "black",
    "cat": "orange", "dog": "brown", "duck": "yellow", "bird": "blue", "butterfly": "orange",
}  # fmt: skip
"""The colour a caption most easily leaves out."""

WIDTHS: dict[Kind, float] = {
    "mountain": 1.3, "castle": 1.05, "house": 1.0, "tree": 0.84, "pine": 0.74, "mushroom": 0.96,
    "flower": 0.74, "car": 1.45, "boat": 1.06, "balloon": 0.76, "kite": 0.82, "rocket": 0.62,
    "lighthouse": 0.52, "windmill": 0.86, "train": 1.36, "cat": 0.82, "dog": 1.16, "duck": 1.12,
    "bird": 1.3, "butterfly": 1.12,
}  # fmt: skip
"""Width of each kind as a multiple of its height."""

HEIGHTS: dict[Kind, float] = {
    "mountain": 0.98, "castle": 1.06, "house": 0.96, "tree": 1.06, "pine": 1.14, "mushroom": 0.78,
    "flower": 0.88, "car": 0.62, "boat": 0.92, "balloon": 0.96, "kite": 0.84, "rocket": 1.0,
    "lighthouse": 1.22, "windmill": 1.14, "train": 0.7, "cat": 0.8, "dog": 0.74, "duck": 0.66,
    "bird": 0.64, "butterfly": 0.7,
}  # fmt: skip
"""Height of each kind as a multiple of a scene's scale: a castle is taller than a cat."""

LARGEST_TILT: dict[Kind, float] = {"kite": 0.3, "rocket": 0.25, "bird": 0.16, "butterfly": 0.35}


@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    Attributes:
        kind: what it is.
        color: its main colour.
        x: its middle.
        base: y of its lower edge.
        size: its height; the width follows from the kind.
        mirrored: whether left and right are swapped.
        tilt: turn about its middle, in radians, clockwise.
        variation: in 0…1, decides on its parts: stripes or none, this roof or that.
    """

    kind: Kind
    color: Color
    x: float
    base: float
    size: float
    mirrored: bool = False
    tilt: float = 0.0
    variation: float = 0.0

    @property
    def width(self) -> float:
        return WIDTHS[self.kind] * self.size

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, before tilting."""
        return self.x - self.width / 2, self.base - self.size, self.x + self.width / 2, self.base


@dataclass(frozen=True)
class Group:
    """Things that a caption names at once ("three small red balloons"): all of one kind and colour.

    Attributes:
        things: one to five.
        scale: whether they are called small or big; None if neither.
    """

    things: tuple[Thing, ...]
    scale: Scale | None = None

    @property
    def kind(self) -> Kind:
        return self.things[0].kind

    @property
    def color(self) -> Color:
        return self.things[0].color

    @property
    def count(self) -> int:
        return len(self.things)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all of them."""
        left, top, right, bottom = zip(*(thing.box for thing in self.things), strict=True)
        return min(left), min(top), max(right), max(bottom)


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
        groups: one to three, in the order a caption names them.
        relation: how the first stands to the others. Of one group "alone"; of three "between" (the others)
            or "together" (just a row); every other relation is of two.
    """

    sky: Sky
    ground: Ground
    weather: Weather
    style: Style
    groups: tuple[Group, ...]
    relation: Relation
    backdrop: Backdrop

    @property
    def things(self) -> tuple[Thing, ...]:
        """Those of all groups, in their order."""
        return tuple(thing for group in self.groups for thing in group.things)
