"""Things in English, with their number, size and colour, and how they stand to each other."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gesso.storybook.scene import Group, Relation, Scene
from gesso.storybook.words import (
    COLOR_WORDS,
    FILLERS,
    JOINING,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    RELATION_WORDS,
    SCALE_WORDS,
    VERBS,
    article,
    plural,
    spelled,
)


def things(scene: Scene, colors: Sequence[bool], rng: Random, *, does: bool) -> str:
    """The groups of a scene, and how the first stands to the others.

    Args:
        colors: of each group, whether its colour is named.
        does: whether the first is to do something, as in a sentence.
    """
    groups, relation = list(scene.groups), scene.relation
    phrases = [phrase(group, colored, rng) for group, colored in zip(groups, colors, strict=True)]
    if len(phrases) == 2 and rng.random() < 0.3:
        phrases.reverse()
        groups.reverse()
        relation = OPPOSITES[relation]
    elif relation == "together":
        rng.shuffle(phrases)
    words = rng.choice(RELATION_WORDS[relation] or ("",))
    if relation in ("left of", "right of") and rng.random() < 0.25:
        return _by_sides(phrases, groups, relation, rng)
    if len(phrases) == 2 and rng.random() < 0.12:
        return _around(phrases, groups, relation, words, rng)
    if relation == "together" and rng.random() < 0.4:
        return _in_a_row(phrases, rng)
    if not does or words in JOINING or relation == "together":
        return relate(phrases, relation, words)
    return _said_to_be(phrases, groups[0], words, rng)


def _said_to_be(phrases: list[str], group: Group, words: str, rng: Random) -> str:
    """ "a cat sits beside a house", "a cat sitting there", "beside a house sits a cat"."""
    does, doing = spelled(rng.choice(VERBS.get(group.kind, ("stand", "stand", "lie"))), group.count)
    first, *others = phrases
    if not others:
        return f"{first} {does if rng.random() < 0.7 else doing}"
    be = "is" if group.count == 1 else "are"
    does = be if rng.random() < 0.35 else does
    place = f"{words} {' and '.join(others)}"
    manner = rng.random()
    if manner < 0.45:
        return f"{first} {does} {place}"
    if manner < 0.7:
        return f"{first} {doing} {place}"
    if manner < 0.8:
        return f"{place}, {first} {does}"
    return f"{place} {does if rng.random() < 0.6 else f'there {be}'} {first}"


def _in_a_row(phrases: list[str], rng: Random) -> str:
    """ "a, b, and c", "a next to b next to c"."""
    first, second, third = phrases
    if rng.random() < 0.3:
        return f"{first}, {second}{rng.choice((', and', ',', ', and also'))} {third}"
    words = rng.choice(("next to", "beside", "and"))
    again = words if rng.random() < 0.6 else rng.choice(("next to", "beside", "and", "with"))
    return f"{first} {words} {second} {again} {third}"


def _by_sides(phrases: list[str], groups: list[Group], relation: Relation, rng: Random) -> str:
    """ "a with b to its left", "a on the left and b on the right", "on the left a, on the right b"."""
    side, other = ("left", "right") if relation == "left of" else ("right", "left")
    first, second = phrases
    manner = rng.random()
    if manner < 0.5:
        its = "its" if groups[1].count == 1 else "their"
        joint = rng.choice(("with", "with", "and", "and,"))
        place = f"{rng.choice(('to', 'on'))} {its} {side}"
        return f"{second} and, {place}, {first}" if joint == "and," else f"{second} {joint} {first} {place}"
    if manner < 0.85:
        joint = rng.choice((" and", " and", ","))
        return f"{first} on the {side}{joint} {second} on the {other}"
    return f"on the {side} {first}, on the {other} {second}"


def _around(phrases: list[str], groups: list[Group], relation: Relation, words: str, rng: Random) -> str:
    """ "b with a beside it", "b, and a beside it"."""
    first, second = phrases
    it = "it" if groups[1].count == 1 else "them"
    words = words if words not in JOINING else RELATION_WORDS[relation][0]
    return f"{second}{rng.choice((' with', ' with', ' and', ', and'))} {first} {words} {it}"


def phrase(group: Group, colored: bool, rng: Random | None, *, bare: bool = False) -> str:
    """A group with its number or article, its size if it has one, and its colour if that is to be named.

    Args:
        rng: chooses the words; without it they are the plainest.
        bare: whether one thing is to have no article.
    """

    def one_of(words: tuple[str, ...]) -> str:
        return rng.choice(words) if rng else words[0]

    noun = one_of(NOUNS[group.kind])
    noun = noun if group.count == 1 else plural(noun)
    color = one_of(COLOR_WORDS.get(group.color, (group.color,))) if colored else ""
    words = [one_of(SCALE_WORDS[group.scale]) if group.scale else "", color]
    behind = ""
    if rng and rng.random() < 0.1:
        words, behind = _otherwise(words, color, group, rng)
    described = join(*words, noun) + behind
    if group.count > 1:
        return f"{one_of(NUMBERS[group.count])} {described}"
    if bare:
        return described
    if rng and rng.random() < 0.14:
        return f"{rng.choice(('the', 'the', *NUMBERS[1]))} {described}"
    return article(described)


def _otherwise(words: list[str], color: str, group: Group, rng: Random) -> tuple[list[str], str]:
    """Size and colour in an order, with a word between them or behind the noun as it is seldom said."""
    size, _ = words
    manner = rng.random()
    if manner < 0.5:
        return (
            [rng.choice(FILLERS), size, color] if rng.random() < 0.5 else [size, rng.choice(FILLERS), color]
        ), ""
    if manner < 0.65 and size and color:
        return ([f"{size},", color] if rng.random() < 0.5 else [color, size]), ""
    if not color:
        return words, ""
    be = "is" if group.count == 1 else "are"
    behind = rng.choice((f" that {be} {color}", f" in {color}", f" painted {color}", f", {color},"))
    return [size], behind


def relate(phrases: list[str], relation: Relation, words: str) -> str:
    """Join the phrases of one to three groups with the words of their relation."""
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        return f"{phrases[0]} {words} {phrases[1]}"
    first, second, third = phrases
    if relation == "together":
        return f"{first}, {second} {words} {third}"
    return f"{first} {words} {second} and {third}"


def join(*parts: str) -> str:
    """Those that there are, with spaces between them."""
    return " ".join(part for part in parts if part)
