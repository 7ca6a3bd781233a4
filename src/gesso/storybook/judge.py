"""Whether a picture shows what was asked for, attribute by attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from gesso.storybook.labels import GroupLabel, Labels
from gesso.storybook.layout import BIG_ABOVE, SMALL_BELOW
from gesso.storybook.reading import Reading, Sight
from gesso.storybook.scene import Relation

Verdict = Mapping[str, bool]
"""For each attribute that was asked for, whether the picture has it."""

ATTRIBUTES = (
    "kind", "color", "count", "scale", "relation", "sky", "ground", "weather", "style", "nothing else",
)  # fmt: skip

DOUBT = 0.04
"""How far a scale may be read from where small things end and big ones begin: half way to the others."""

APART = 0.02
"""How much farther to one side the middle of a thing must be, in picture units."""


def judge(wanted: Labels, reading: Reading, attributes: Iterable[str] = ATTRIBUTES) -> dict[str, bool]:
    """Compare a picture with what was asked for.

    "kind": every kind asked for is there. "color": every kind is there in its colour. "count": as often as
    asked. "scale": small or big, where that was said. "relation": the groups stand as asked, where there
    are several. "nothing else": no other thing is there. "whole" is all in ``attributes`` together.
    """
    found = [[s for s in reading.sights if fits(s, group)] for group in wanted.groups]
    kinds = {sight.kind for sight in reading.sights}
    verdict = {
        "kind": all(group.kind in kinds for group in wanted.groups),
        "color": all(found),
        "count": all(len(f) == group.count for f, group in zip(found, wanted.groups, strict=True)),
    }
    scaled = [(f, group.scale) for f, group in zip(found, wanted.groups, strict=True) if group.scale]
    if scaled:
        verdict["scale"] = all(f and _is_scale(f, scale) for f, scale in scaled)
    if len(wanted.groups) > 1:
        verdict["relation"] = all(found) and RELATIONS[wanted.relation](found)
    for name in ("sky", "ground", "weather", "style"):
        verdict[name] = getattr(reading, name) == getattr(wanted, name)
    verdict["nothing else"] = all(any(fits(s, group) for group in wanted.groups) for s in reading.sights)
    verdict["whole"] = all(right for name, right in verdict.items() if name in set(attributes))
    return verdict


def fits(sight: Sight, group: GroupLabel) -> bool:
    """Whether a thing is one of a group."""
    return (sight.kind, sight.color) == (group.kind, group.color)


def share_right(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Of those that were asked for each attribute, the share that has it."""
    names = {name: None for verdict in verdicts for name in verdict}
    return {name: fmean(verdict[name] for verdict in verdicts if name in verdict) for name in names}


def _is_scale(sights: Sequence[Sight], scale: str) -> bool:
    mean = fmean(sight.scale for sight in sights)
    return mean < SMALL_BELOW + DOUBT if scale == "small" else mean > BIG_ABOVE - DOUBT


Sides = Sequence[Sequence[Sight]]


def _x(sights: Sequence[Sight]) -> float:
    return fmean(sight.x for sight in sights)


def _y(sights: Sequence[Sight]) -> float:
    return fmean(sight.y for sight in sights)


def _base(sights: Sequence[Sight]) -> float:
    return max(sight.base for sight in sights)


def _beside(groups: Sides) -> bool:
    """Next to each other rather than one over the other."""
    first, second = groups
    return abs(_x(first) - _x(second)) > APART


def _left_of(groups: Sides) -> bool:
    first, second = groups
    return _x(first) < _x(second) - APART


def _above(groups: Sides) -> bool:
    first, second = groups
    return _y(first) < _y(second) - APART


def _in_front_of(groups: Sides) -> bool:
    first, second = groups
    return _base(first) > _base(second)


def _between(groups: Sides) -> bool:
    first, second, third = (_x(group) for group in groups)
    return min(second, third) < first < max(second, third)


RELATIONS: dict[Relation, Callable[[Sides], bool]] = {
    "alone": lambda _: True,
    "together": lambda _: True,
    "beside": _beside,
    "left of": _left_of,
    "right of": lambda groups: _left_of(groups[::-1]),
    "above": _above,
    "below": lambda groups: _above(groups[::-1]),
    "in front of": _in_front_of,
    "behind": lambda groups: _in_front_of(groups[::-1]),
    "between": _between,
}
