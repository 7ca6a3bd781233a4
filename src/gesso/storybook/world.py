"""How much of the world there is: the kinds, colours, relations, weather and styles of scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gesso.errors import RequestError
from gesso.storybook.scene import (
    COLORS,
    GROUNDS,
    KINDS,
    RELATIONS,
    SKIES,
    STYLES,
    WEATHERS,
    Color,
    Ground,
    Kind,
    Relation,
    Sky,
    Style,
    Weather,
)


@dataclass(frozen=True)
class World:
    """What scenes are drawn from. A smaller world is learnt sooner.

    Attributes:
        name: of the level.
        most_alike: largest number of things in one group: 1 does without counts.
        most_things: largest number of things in a picture of two groups.
        scales: whether things are now and then called small or big.
    """

    name: str
    kinds: tuple[Kind, ...] = KINDS
    colors: tuple[Color, ...] = COLORS
    relations: tuple[Relation, ...] = RELATIONS
    skies: tuple[Sky, ...] = SKIES
    grounds: tuple[Ground, ...] = GROUNDS
    weathers: tuple[Weather, ...] = WEATHERS
    styles: tuple[Style, ...] = STYLES
    most_alike: int = 5
    most_things: int = 4
    scales: bool = True

    def includes(self, other: World) -> bool:
        """Whether every scene of another world could be one of this."""
        alternatives = all(
            set(getattr(other, name)) <= set(getattr(self, name))
            for name in ("kinds", "colors", "relations", "skies", "grounds", "weathers", "styles")
        )
        numbers = other.most_alike <= self.most_alike and other.most_things <= self.most_things
        return alternatives and numbers and other.scales <= self.scales


WHOLE = World("whole")
MEDIUM = replace(WHOLE, name="medium", styles=("picture book",), most_alike=3, most_things=3)
"""Every kind, relation and weather, in one style, up to three things."""
SMALL = replace(
    MEDIUM,
    name="small",
    kinds=KINDS[:10],
    relations=("alone", "beside", "left of", "right of", "above", "below"),
    weathers=("clear",),
)
"""The first ten kinds, in every colour, on every ground, up to three things, in clear weather."""

WORLDS = {world.name: world for world in (SMALL, MEDIUM, WHOLE)}


def find_world(name: str) -> World:
    """A level of the world by its name.

    Raises:
        RequestError: there is none of that name.
    """
    if name not in WORLDS:
        raise RequestError(f'no world is called "{name}"', f"There are {', '.join(WORLDS)}.", where="world")
    return WORLDS[name]
