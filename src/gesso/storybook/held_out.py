"""Which scenes training never shows, so that a score can tell composing from remembering.

A fixed rule, the same on every machine, holds back about one in twenty pairs of kind and colour ("a grey
car" is never seen, though cars and grey things are) and one in ten triples of kind, relation and kind
("a cat to the left of a car", which is also "a car to the right of a cat").
"""

from __future__ import annotations

from zlib import crc32

from gesso.storybook.scene import Color, Kind, Relation, Scene

PAIRS_PER_HELD_OUT = 19
TRIPLES_PER_HELD_OUT = 10
SALT = 127
"""Chosen so that what stories are full of (red houses, black cats) is not among the pairs held back."""

MIRRORED: dict[Relation, Relation] = {"right of": "left of", "below": "above", "behind": "in front of"}
"""Relations that say the same as another one with the two sides exchanged."""


def is_held_out(scene: Scene) -> bool:
    """Whether training never shows what the scene combines."""
    if any(is_pair_held_out(group.kind, group.color) for group in scene.groups):
        return True
    if len(scene.groups) != 2:
        return False
    first, second = scene.groups
    return is_triple_held_out(first.kind, scene.relation, second.kind)


def is_pair_held_out(kind: Kind, color: Color) -> bool:
    """Whether no thing of this kind is ever shown in this colour."""
    return _one_in(PAIRS_PER_HELD_OUT, f"{color} {kind}")


def is_triple_held_out(first: Kind, relation: Relation, second: Kind) -> bool:
    """Whether two kinds are never shown in this relation, told from either side."""
    if relation in MIRRORED:
        first, relation, second = second, MIRRORED[relation], first
    elif relation == "beside":
        first, second = sorted((first, second))
    return _one_in(TRIPLES_PER_HELD_OUT, f"{first} {relation} {second}")


def _one_in(count: int, text: str) -> bool:
    return crc32(text.encode(), SALT) % count == 0
