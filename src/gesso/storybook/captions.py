"""Scenes in words: what the built-in model learns to read, in many wordings."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal, get_args

from gesso.storybook import chinese
from gesso.storybook.scene import USUAL_COLORS, Group, Relation, Scene
from gesso.storybook.words import (
    CLEAR_SKY_WORDS,
    GROUND_WORDS,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    RELATION_WORDS,
    SCALE_WORDS,
    SKY_WORDS,
    STYLE_ENDINGS,
    STYLE_OPENINGS,
    WEATHER_WORDS,
    article,
    plural,
)

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

EXAMPLE_PROMPTS = (
    "a red house beside a pine tree, at night",
    "a blue balloon above a yellow house in the snow at sunset",
    "a white boat on the sea in the rain",
    "three pink flowers in a meadow under a rainbow",
    "a green car to the left of a red mushroom on the beach",
    "a black cat in front of a green tree on the grass, by day",
    "two brown dogs in the snow at night, snow is falling",
    "an orange lighthouse by the sea at sunset",
    "a big pink castle in the fog",
    "an orange balloon over a tree in a meadow",
    "a red rocket above a grey mountain at night",
    "a purple butterfly above a white flower in a meadow, by day",
    "a yellow train on the sand, by day",
    "a small blue windmill next to a brown house in the snow",
    "a white bird above a blue boat at sunset",
    "a grey car and an orange tree in the snow at dusk",
)
"""A tour of the world that the built-in model is taught, and beyond: no grey car or orange balloon was ever
shown to it."""


def caption(scene: Scene, rng: Random, *, language: Language = "en", complete: bool = False) -> str:
    """Word a scene, lower-case, differently each time.

    Every thing is named; now and then a colour, the sky, the ground, the weather or the style is left out,
    and usual colours, clear weather and the picture-book style mostly are. Things may be told in either
    order ("a left of b" or "b right of a"). The same generator state gives the same caption.

    Args:
        complete: leave out nothing but clear weather and the picture-book style.
    """
    wordings: dict[Language, Callable[[Scene, Random, bool], str]] = {
        "en": _english,
        "zh": chinese.caption,
    }
    return wordings[language](scene, rng, complete)


def canonical_caption(scene: Scene) -> str:
    """Word a scene plainly and completely."""
    phrases = [_phrase(group, named=True, rng=None) for group in scene.groups]
    things = _relate(phrases, scene.relation, (RELATION_WORDS[scene.relation] or ("",))[0])
    weather = "" if scene.weather == "clear" else f", {WEATHER_WORDS[scene.weather][0]}"
    style = "" if scene.style == "picture book" else f", {STYLE_ENDINGS[scene.style][0]}"
    return f"{things} {GROUND_WORDS[scene.ground][0]}, {SKY_WORDS[scene.sky][0]}{weather}{style}"


def _english(scene: Scene, rng: Random, complete: bool) -> str:
    def told(likely: float) -> bool:
        return rng.random() < likely or complete

    things = _things(scene, rng, complete)
    ground = rng.choice(GROUND_WORDS[scene.ground]) if told(0.87) else ""
    sky = rng.choice(SKY_WORDS[scene.sky]) if told(0.88) else ""
    weather = ""
    if scene.weather != "clear":
        weather = rng.choice(WEATHER_WORDS[scene.weather]) if told(0.97) else ""
    elif rng.random() < 0.25:
        if sky and rng.random() < 0.7:
            sky = rng.choice(CLEAR_SKY_WORDS[scene.sky])
        else:
            weather = rng.choice(WEATHER_WORDS["clear"])
    opening, ending = "", ""
    if rng.random() < 0.1 if scene.style == "picture book" else told(0.97):
        if rng.random() < 0.5:
            opening = rng.choice(STYLE_OPENINGS[scene.style])
        else:
            ending = rng.choice(STYLE_ENDINGS[scene.style])
    if not opening and rng.random() < 0.06:
        several = things.startswith(tuple(word for words in NUMBERS.values() for word in words))
        opening = "there are" if several else "there is"
    return _arrange(rng, opening, things, [ground, sky, weather], ending)


def _arrange(rng: Random, opening: str, things: str, places: list[str], ending: str) -> str:
    """Put the parts of a caption in some order, with commas or without."""
    ground = places[0]
    rest = [part for part in places if part]
    first = ""
    if rest and not opening and rng.random() < 0.12:
        first = f"{rest.pop(rng.randrange(min(2, len(rest))))}, "
    if rng.random() < 0.25:
        rng.shuffle(rest)
    comma = "," if rng.random() < 0.5 else ""
    text = first + _join(opening, things)
    for number, part in enumerate(rest):
        text += f" {part}" if part == ground and number == 0 else f"{comma} {part}"
    return f"{text}, {ending}" if ending else text


def _things(scene: Scene, rng: Random, complete: bool) -> str:
    groups = list(scene.groups)
    named = [complete or rng.random() > (0.35 if g.color == USUAL_COLORS[g.kind] else 0.04) for g in groups]
    phrases = [_phrase(group, named=tell, rng=rng) for group, tell in zip(groups, named, strict=True)]
    relation = scene.relation
    if len(phrases) == 2 and rng.random() < 0.3:
        phrases.reverse()
        groups.reverse()
        relation = OPPOSITES[relation]
    elif relation == "together":
        rng.shuffle(phrases)
    if relation in ("left of", "right of") and rng.random() < 0.25:
        return _by_sides(phrases, groups, relation, rng)
    return _relate(phrases, relation, rng.choice(RELATION_WORDS[relation] or ("",)))


def _by_sides(phrases: list[str], groups: list[Group], relation: Relation, rng: Random) -> str:
    """ "a with b to its left", or "a on the left and b on the right"."""
    side, other = ("left", "right") if relation == "left of" else ("right", "left")
    if rng.random() < 0.5:
        its = "its" if groups[1].count == 1 else "their"
        return f"{phrases[1]} with {phrases[0]} {rng.choice(('to', 'on'))} {its} {side}"
    return f"{phrases[0]} on the {side} and {phrases[1]} on the {other}"


def _phrase(group: Group, *, named: bool, rng: Random | None) -> str:
    """A group with its number or article and, if it is to be named, its colour; plainly without ``rng``."""

    def one_of(words: tuple[str, ...]) -> str:
        return rng.choice(words) if rng else words[0]

    noun = one_of(NOUNS[group.kind])
    scale = one_of(SCALE_WORDS[group.scale]) if group.scale else ""
    words = _join(scale, group.color if named else "", noun if group.count == 1 else plural(noun))
    return article(words) if group.count == 1 else f"{one_of(NUMBERS[group.count])} {words}"


def _relate(phrases: list[str], relation: Relation, words: str) -> str:
    """Join the phrases of one to three groups with the words of their relation."""
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        return f"{phrases[0]} {words} {phrases[1]}"
    first, second, third = phrases
    if relation == "together":
        return f"{first}, {second} {words} {third}"
    return f"{first} {words} {second} and {third}"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
