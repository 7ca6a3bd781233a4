"""What a picture should show, as a score reads it."""

from __future__ import annotations

from dataclasses import dataclass

from gesso.storybook.scene import Color, Ground, Kind, Relation, Scale, Scene, Sky, Style, Weather


@dataclass(frozen=True)
class GroupLabel:
    """So many things of one kind and colour; ``scale`` is None where it was not named."""

    kind: Kind
    color: Color
    count: int
    scale: Scale | None


@dataclass(frozen=True)
class Labels:
    """Everything a complete caption names, in the order of its groups."""

    groups: tuple[GroupLabel, ...]
    relation: Relation
    sky: Sky
    ground: Ground
    weather: Weather
    style: Style


def labels(scene: Scene) -> Labels:
    """Read a scene."""
    groups = tuple(GroupLabel(each.kind, each.color, each.count, each.scale) for each in scene.groups)
    return Labels(groups, scene.relation, scene.sky, scene.ground, scene.weather, scene.style)
