"""Where things go, so that a scene's relation and counts can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from gesso.storybook.scene import (
    FLYING,
    HEIGHTS,
    LARGEST_TILT,
    WIDTHS,
    Color,
    Group,
    Kind,
    Relation,
    Scale,
    Thing,
)

MARGIN, GAP = 0.025, 0.035
ROWS = {1: (1,), 2: (2,), 3: (3,), 4: (2, 2), 5: (2, 3)}
"""Of so many things, how many stand in each row, the back one first."""

SMALL_BELOW, BIG_ABOVE = 0.36, 0.60
"""Scales under and over which things may be called small and big."""

SCALE_RANGES: dict[Scale, tuple[float, float]] = {"small": (0.27, 0.33), "big": (0.62, 0.76)}


@dataclass(frozen=True)
class Wish:
    """A group that has no place yet."""

    kind: Kind
    color: Color
    count: int = 1
    scale: Scale | None = None

    @property
    def rows(self) -> tuple[int, ...]:
        """Of how many things each row is; what flies in threes does so in two rows as well."""
        return (1, 2) if self.count == 3 and self.kind in FLYING else ROWS[self.count]

    @property
    def columns(self) -> float:
        """Width of the group in widths of one thing; two rows stand half a place apart."""
        most = max(self.rows)
        staggered = 0.5 if len(self.rows) == 2 and self.rows[0] == most else 0.0
        return most + staggered + 0.12 * (most - 1)

    @property
    def width(self) -> float:
        """At scale 1."""
        return self.columns * WIDTHS[self.kind] * HEIGHTS[self.kind]

    @property
    def height(self) -> float:
        """At scale 1, for what flies: two rows overlap a little."""
        return HEIGHTS[self.kind] * (1.0 if len(self.rows) == 1 else 1.95)


Layout = Callable[[Random, list[Wish], Relation, float], tuple[Group, ...]]


def lay_row(rng: Random, wishes: list[Wish], relation: Relation, horizon: float) -> tuple[Group, ...]:
    """Groups side by side, in the order the relation asks for."""
    order = list(range(len(wishes)))  # the caption's number of each group, from left to right
    if relation == "right of":
        order = [1, 0]
    elif relation == "between":
        order = rng.choice(([1, 0, 2], [2, 0, 1]))
    elif relation in ("beside", "together"):
        rng.shuffle(order)
    scales = _sample_scales(rng, wishes)
    share = min(1.0, _room(len(wishes)) / sum(s * w.width for s, w in zip(scales, wishes, strict=True)))
    scales = [share * scale for scale in scales]
    middles = _spread(rng, [scales[number] * wishes[number].width for number in order])
    x_of = dict(zip(order, middles, strict=True))
    return tuple(
        _place(rng, wish, scale, x_of[number], horizon)
        for number, (wish, scale) in enumerate(zip(wishes, scales, strict=True))
    )


def lay_stack(rng: Random, wishes: list[Wish], relation: Relation, horizon: float) -> tuple[Group, ...]:
    """A flying group over another one."""
    upper, lower = wishes if relation == "above" else reversed(wishes)
    scales = _sample_scales(rng, [upper, lower], crowded=True)
    below = lower.height if lower.kind in FLYING else HEIGHTS[lower.kind] + 0.1 * (len(lower.rows) - 1)
    tall = scales[0] * upper.height + scales[1] * below
    wide = max(scale * wish.width for scale, wish in zip(scales, (upper, lower), strict=True))
    share = min(1.0, 0.80 / tall, (1 - 2 * MARGIN) / wide)
    high, low = (share * scale for scale in scales)
    half = max(high * upper.width, low * lower.width) / 2 + MARGIN
    margin = min(max(half, 0.36), 0.5)
    centre = rng.uniform(margin, 1 - margin)
    shift = rng.uniform(-0.08, 0.08)
    x = min(max(centre + shift, high * upper.width / 2 + MARGIN), 1 - high * upper.width / 2 - MARGIN)
    top = rng.uniform(0.025, 0.05)
    first = _place_flying(rng, upper, high, x, top + high * upper.height / 2)
    if lower.kind in FLYING:
        floor = 0.93 - low * lower.height / 2
        second = _place_flying(rng, lower, low, centre, floor - rng.uniform(0.0, 0.04))
    else:
        base = _base(lower.kind, horizon, rng.uniform(0.85, 1.0))
        second = _place_standing(rng, lower, low, centre, horizon, base)
    return (first, second) if relation == "above" else (second, first)


def lay_depth(rng: Random, wishes: list[Wish], relation: Relation, horizon: float) -> tuple[Group, ...]:
    """A large thing at the back and smaller ones before it, which hide a part of it."""
    front, back = wishes if relation == "in front of" else reversed(wishes)
    far = min(rng.uniform(0.56, 0.64), 0.72 / back.width)
    near = min(rng.uniform(0.32, 0.40), 0.62 / front.width)
    side = rng.choice((-1.0, 1.0))
    x = 0.5 - side * rng.uniform(0.06, 0.12)
    half = near * front.width / 2 + MARGIN
    shifted = x + side * far * back.width * rng.uniform(0.30, 0.42)
    ground = _base(back.kind, horizon, rng.uniform(0.18, 0.30))
    nearer = ground + min(rng.uniform(0.10, 0.18), 0.55 * near * HEIGHTS[front.kind])
    behind = _place_standing(rng, back, far, x, horizon, ground)
    before = _place_standing(rng, front, near, min(max(shifted, half), 1 - half), horizon, nearer)
    return (before, behind) if relation == "in front of" else (behind, before)


LAYOUTS: dict[Relation, Layout] = {
    "alone": lay_row,
    "beside": lay_row,
    "left of": lay_row,
    "right of": lay_row,
    "between": lay_row,
    "together": lay_row,
    "above": lay_stack,
    "below": lay_stack,
    "in front of": lay_depth,
    "behind": lay_depth,
}


def _room(count: int) -> float:
    return 1 - 2 * MARGIN - GAP * (count - 1)


def _sample_scales(rng: Random, wishes: Sequence[Wish], *, crowded: bool = False) -> list[float]:
    """Scales that are wished for, or suit how much there is to see."""
    things = max(wish.count for wish in wishes)
    usual = {1: (0.46, 0.54), 2: (0.40, 0.50), 3: (0.34, 0.42)}[len(wishes)]
    if crowded:
        usual = 0.38, 0.46
    scales = []
    for wish in wishes:
        low, high = SCALE_RANGES[wish.scale] if wish.scale else usual
        fewer = {1: 1.0, 2: 0.92, 3: 0.85, 4: 0.72, 5: 0.68}[wish.count if things > 1 else 1]
        scales.append(fewer * rng.uniform(low, high))
    return scales


def _spread(rng: Random, widths: Sequence[float]) -> list[float]:
    """Middles of groups side by side, left to right, with the room to spare shared out at random."""
    slack = max(0.0, _room(len(widths)) - sum(widths))
    cuts = sorted(rng.uniform(0.2, 0.8) * slack for _ in widths)
    middles, left = [], MARGIN
    for cut, width in zip(cuts, widths, strict=True):
        middles.append(left + cut + width / 2)
        left += width + GAP
    return middles


def _place(rng: Random, wish: Wish, scale: float, x: float, horizon: float) -> Group:
    if wish.kind not in FLYING:
        base = _base(wish.kind, horizon, rng.uniform(0.5, 1.0))
        return _place_standing(rng, wish, scale, x, horizon, base)
    half = scale * wish.height / 2
    return _place_flying(rng, wish, scale, x, max(half + MARGIN, rng.uniform(0.34, 0.46)))


def _place_flying(rng: Random, wish: Wish, scale: float, x: float, y: float) -> Group:
    """Things in the air around a middle, row by row."""
    size = scale * HEIGHTS[wish.kind]
    things = []
    for row, (columns, shift) in enumerate(_rows(wish)):
        middle = y + (row - (len(wish.rows) - 1) / 2) * 0.95 * size
        for column in columns:
            at = x + (column + shift) * 1.12 * WIDTHS[wish.kind] * size
            drift = rng.uniform(-0.05, 0.05) * size if wish.count > 1 else 0.0
            things.append(_thing(rng, wish, at, middle + size / 2 + drift, size))
    return _group(wish, scale, things)


def _base(kind: Kind, horizon: float, nearness: float) -> float:
    """y of the feet of what stands at the horizon (0), at the lower edge (1) or between."""
    farthest, nearest = horizon + 0.06, 0.88 if kind == "mountain" else 0.945
    return farthest + (nearest - farthest) * nearness


def _place_standing(rng: Random, wish: Wish, scale: float, x: float, horizon: float, base: float) -> Group:
    """Things on the ground with their feet at ``base``; of two rows the back one is farther and smaller."""
    size = scale * HEIGHTS[wish.kind]
    things = []
    for row, (columns, shift) in enumerate(_rows(wish)):
        behind = len(wish.rows) - 1 - row
        foot = max(base - behind * 0.62 * (0.885 - horizon), horizon + 0.06)
        size = min(size, foot - MARGIN)
        for column in columns:
            at = x + (column + shift) * 1.12 * WIDTHS[wish.kind] * size
            step = rng.uniform(-0.012, 0.012) if wish.count > 1 else 0.0
            things.append(_thing(rng, wish, at, foot + step, size * (1 - 0.1 * behind)))
    return _group(wish, scale, things)


def _rows(wish: Wish) -> list[tuple[list[float], float]]:
    """For each row the places of its things about its middle, and how far the row is shifted, in places."""
    staggered = len(wish.rows) == 2 and wish.rows[0] == wish.rows[1]
    return [
        ([column - (count - 1) / 2 for column in range(count)], (0.25 - 0.5 * row) if staggered else 0.0)
        for row, count in enumerate(wish.rows)
    ]


def _thing(rng: Random, wish: Wish, x: float, base: float, size: float) -> Thing:
    tilt = LARGEST_TILT.get(wish.kind, 0.0)
    return Thing(
        kind=wish.kind,
        color=wish.color,
        x=x,
        base=base,
        size=size,
        mirrored=rng.random() < 0.5,
        tilt=rng.uniform(-tilt, tilt),
        variation=rng.random(),
    )


def _group(wish: Wish, scale: float, things: Sequence[Thing]) -> Group:
    """The group; it is called small or big only if it came out so."""
    fits = {"small": scale < SMALL_BELOW, "big": scale > BIG_ABOVE, None: True}[wish.scale]
    return Group(tuple(things), wish.scale if fits else None)
