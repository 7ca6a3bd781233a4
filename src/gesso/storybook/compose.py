"""Making scenes up: what is in them, at random, within a world."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TypeVar

from gesso.storybook.held_out import is_held_out
from gesso.storybook.layout import LAYOUTS, Wish
from gesso.storybook.scene import (
    FLOATING,
    FLYING,
    HEIGHTS,
    SCALES,
    STANDING,
    USUAL_COLORS,
    Backdrop,
    Color,
    Ground,
    Group,
    Kind,
    Relation,
    Scene,
    Sky,
    Style,
    Weather,
)
from gesso.storybook.world import WHOLE, World

Name = TypeVar("Name")

RELATION_WEIGHTS: dict[Relation, int] = {
    "alone": 38, "beside": 10, "left of": 10, "right of": 10, "above": 9, "below": 5, "in front of": 6,
    "behind": 4, "between": 4, "together": 4,
}  # fmt: skip
WEATHER_WEIGHTS: dict[Weather, int] = {
    "clear": 50, "cloudy": 12, "rain": 10, "snowfall": 10, "rainbow": 9, "fog": 9
}  # fmt: skip
COUNT_WEIGHTS = 58, 14, 12, 8, 8

SMALLEST_IN_PIXELS = 0.29
"""Height of the smallest thing that pixel art can still show."""

BACKGROUND: tuple[Kind, ...] = tuple(kind for kind in STANDING if HEIGHTS[kind] > 0.95)
"""Kinds tall enough to be seen behind another thing."""


def sample_scene(rng: Random, world: World = WHOLE, *, held_out: bool | None = False) -> Scene:
    """Draw a scene at random; the same generator state gives the same scene.

    Args:
        world: what there is.
        held_out: False draws what training may show, True only what it never shows, None either.
    """
    while True:
        scene = _sample_any(rng, world)
        if held_out is None or is_held_out(scene) == held_out:
            return scene


def rearranged(scene: Scene, rng: Random) -> Scene:
    """Another scene that the same complete caption fits: everything else is drawn anew."""
    wishes = [Wish(group.kind, group.color, group.count, group.scale) for group in scene.groups]
    backdrop = _sample_backdrop(rng)
    groups = LAYOUTS[scene.relation](rng, wishes, scene.relation, backdrop.horizon)
    named = tuple(replace(new, scale=old.scale) for new, old in zip(groups, scene.groups, strict=True))
    return replace(scene, groups=named, backdrop=backdrop)


def _sample_any(rng: Random, world: World) -> Scene:
    relation = _weighted(rng, RELATION_WEIGHTS, world.relations)
    wishes = _sample_wishes(rng, world, relation)
    kinds: list[Kind] = [wish.kind for wish in wishes]
    sky = rng.choice(world.skies)
    ground = _sample_ground(rng, world, kinds)
    backdrop = _sample_backdrop(rng)
    groups = LAYOUTS[relation](rng, wishes, relation, backdrop.horizon)
    weather = _sample_weather(rng, world, sky)
    return Scene(sky, ground, weather, _sample_style(rng, world, groups), groups, relation, backdrop)


def _sample_wishes(rng: Random, world: World, relation: Relation) -> list[Wish]:
    """What each group is to be, in the caption's order; no two of the same kind and colour."""
    kinds = _sample_kinds(rng, world, relation)
    colors: list[Color] = []
    for number, kind in enumerate(kinds):
        taken: set[Color] = {colors[other] for other in range(number) if kinds[other] == kind}
        colors.append(_sample_color(rng, world, kind, taken))
    counts = _sample_counts(rng, world, relation)
    scaled = world.scales and max(counts) == 1 and len(kinds) <= 2
    wishes = []
    for kind, color, count in zip(kinds, colors, counts, strict=True):
        named = scaled and relation not in ("in front of", "behind") and rng.random() < 0.25
        wishes.append(Wish(kind, color, count, rng.choice(SCALES) if named else None))
    return wishes


def _sample_kinds(rng: Random, world: World, relation: Relation) -> list[Kind]:
    """Kinds in caption order, of sorts that can stand in the relation."""
    anything = world.kinds
    flying: tuple[Kind, ...] = tuple(kind for kind in anything if kind in FLYING)
    standing: tuple[Kind, ...] = tuple(kind for kind in anything if kind in STANDING)
    tall: tuple[Kind, ...] = tuple(kind for kind in standing if kind in BACKGROUND)
    match relation:
        case "alone":
            return [rng.choice(anything)]
        case "above":
            return [rng.choice(flying), rng.choice(anything if rng.random() < 0.2 else standing)]
        case "below":
            return [rng.choice(standing), rng.choice(flying)]
        case "in front of":
            return [rng.choice(standing), rng.choice(tall)]
        case "behind":
            return [rng.choice(tall), rng.choice(standing)]
        case "between" | "together":
            return [rng.choice(anything) for _ in range(3)]
        case _:
            return [rng.choice(anything) for _ in range(2)]


def _sample_color(rng: Random, world: World, kind: Kind, taken: set[Color]) -> Color:
    """Any colour, the usual one more often than others; none twice for one kind."""
    usual = USUAL_COLORS[kind]
    if usual in world.colors and usual not in taken and rng.random() < 0.2:
        return usual
    return rng.choice([color for color in world.colors if color not in taken])


def _sample_counts(rng: Random, world: World, relation: Relation) -> list[int]:
    """How many things each group has; at most one group has several, and of three groups none."""
    most = world.most_alike
    match relation:
        case "alone":
            return [_count(rng, most)]
        case "between" | "together":
            return [1, 1, 1]
        case "in front of" | "behind":
            front = _count(rng, min(most, 2))
            return [front, 1] if relation == "in front of" else [1, front]
        case _:
            counts = [_count(rng, min(most, world.most_things - 1)), 1]
            rng.shuffle(counts)
            return counts


def _count(rng: Random, most: int) -> int:
    return rng.choices(range(1, most + 1), weights=COUNT_WEIGHTS[:most])[0]


def _sample_ground(rng: Random, world: World, kinds: list[Kind]) -> Ground:
    """Any ground under anything; what floats is on the water more often than not."""
    if "water" in world.grounds and any(kind in FLOATING for kind in kinds) and rng.random() < 0.5:
        return "water"
    return rng.choice(world.grounds)


def _sample_weather(rng: Random, world: World, sky: Sky) -> Weather:
    """Rainbows are seen by day only."""
    possible: tuple[Weather, ...] = tuple(
        weather for weather in world.weathers if weather != "rainbow" or sky == "day"
    )
    return _weighted(rng, WEATHER_WEIGHTS, possible)


def _sample_style(rng: Random, world: World, groups: tuple[Group, ...]) -> Style:
    """The world's first style for half of the scenes; pixel art only of what is large enough for it."""
    style = world.styles[0] if rng.random() < 0.4 else rng.choice(world.styles)
    smallest = min(thing.size for group in groups for thing in group.things)
    return world.styles[0] if style == "pixel art" and smallest < SMALLEST_IN_PIXELS else style


def _sample_backdrop(rng: Random) -> Backdrop:
    side = rng.choice((0.0, 1.0))
    return Backdrop(
        horizon=rng.uniform(0.60, 0.69),
        light_x=abs(side - rng.uniform(0.12, 0.24)),
        light_y=rng.uniform(0.13, 0.19),
        phase=rng.random(),
    )


def _weighted(rng: Random, weights: dict[Name, int], possible: tuple[Name, ...]) -> Name:
    return rng.choices(possible, weights=[weights[name] for name in possible], k=1)[0]
