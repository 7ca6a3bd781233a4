"""Scenes in English: as a phrase, as a sentence, or as the tags of which prompts are often made."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gesso.storybook.english_things import join, phrase, relate, things
from gesso.storybook.scene import USUAL_COLORS, Scene
from gesso.storybook.words import (
    CLEAR_SKY_WORDS,
    ENDINGS,
    GROUND_TAGS,
    GROUND_WORDS,
    OPENINGS,
    RELATION_WORDS,
    SKY_CLAUSES,
    SKY_TAGS,
    SKY_WORDS,
    STYLE_ENDINGS,
    STYLE_OPENINGS,
    TIMES,
    WEATHER_ADJECTIVES,
    WEATHER_CLAUSES,
    WEATHER_TAGS,
    WEATHER_WORDS,
    article,
)


@dataclass(frozen=True)
class Said:
    """What a caption says of a scene.

    Attributes:
        colors: of each group, whether its colour is named.
        ground, sky, weather, style: whether they are.
    """

    colors: tuple[bool, ...]
    ground: bool = True
    sky: bool = True
    weather: bool = True
    style: bool = True


def everything(scene: Scene) -> Said:
    """What a complete caption says: all but clear weather and the picture-book style."""
    weather, style = scene.weather != "clear", scene.style != "picture book"
    return Said(tuple(True for _ in scene.groups), weather=weather, style=style)


def chosen(scene: Scene, rng: Random) -> Said:
    """What to say, and to leave out; usual things are left out more often."""
    usual = (group.color == USUAL_COLORS[group.kind] for group in scene.groups)
    return Said(
        tuple(rng.random() > (0.35 if is_usual else 0.04) for is_usual in usual),
        ground=rng.random() < 0.87,
        sky=rng.random() < 0.88,
        weather=rng.random() < (0.25 if scene.weather == "clear" else 0.97),
        style=rng.random() < (0.1 if scene.style == "picture book" else 0.97),
    )


def plain(scene: Scene, said: Said) -> str:
    """A phrase in the plainest words, always the same."""
    phrases = [
        phrase(group, colored, None) for group, colored in zip(scene.groups, said.colors, strict=True)
    ]
    text = relate(phrases, scene.relation, (RELATION_WORDS[scene.relation] or ("",))[0])
    text += f" {GROUND_WORDS[scene.ground][0]}" if said.ground else ""
    text += f", {SKY_WORDS[scene.sky][0]}" if said.sky else ""
    text += f", {WEATHER_WORDS[scene.weather][0]}" if said.weather else ""
    return text + (f", {STYLE_ENDINGS[scene.style][0]}" if said.style else "")


def caption(scene: Scene, rng: Random, said: Said) -> str:
    """The same in other words each time: a phrase, a sentence, or tags."""
    manner = rng.random()
    if manner < 0.08:
        return _tags(scene, said, rng)
    opening = ending = ""
    if said.style:
        opening, ending = _one_of_two(STYLE_OPENINGS[scene.style], STYLE_ENDINGS[scene.style], rng)
    is_sentence = manner < 0.33 and not opening
    groups = things(scene, said.colors, rng, does=is_sentence)
    places, clause = _places(scene, said, rng)
    if not is_sentence and not opening:
        opening = _opening(scene, groups, rng)
    if clause:
        joint = rng.choice((", ", ". ", " and ", ", and "))
        before = not opening and rng.random() < 0.5
        text = f"{clause}{joint}{_arranged(groups, places, rng)}" if before else ""
        text = text or f"{join(opening, _arranged(groups, places, rng))}{joint}{clause}"
    else:
        first = _first(places, rng) if not opening and rng.random() < 0.12 else ""
        text = first + join(opening, _arranged(groups, places, rng))
    if not ending and rng.random() < 0.04:
        ending = rng.choice(ENDINGS)
    text += f", {ending}" if ending else ""
    return _punctuated(text, rng.random() < (0.7 if is_sentence else 0.25), rng)


def _punctuated(text: str, ends: bool, rng: Random) -> str:
    """With one comma where two parts brought one, and perhaps a full stop."""
    for twice, once in ((",,", ","), (",.", "."), (", and,", " and,")):
        text = text.replace(twice, once)
    return text.rstrip(",") + (rng.choice(".....!") if ends else "")


def _opening(scene: Scene, groups: str, rng: Random) -> str:
    """What stands before the things of a phrase, mostly nothing."""
    kind = rng.random()
    if kind < 0.06:
        several = scene.groups[0].count > 1 and not groups.startswith(("a ", "an "))
        return "there are" if several else "there is"
    return rng.choice(OPENINGS) if kind < 0.16 else ""


def _first(places: list[str], rng: Random) -> str:
    """One of the places, taken away to stand before everything."""
    told = [number for number, place in enumerate(places) if place and not place.startswith("and ")]
    if not told:
        return ""
    number = rng.choice(told)
    first, places[number] = places[number], ""
    return f"{first}, "


def _arranged(groups: str, places: list[str], rng: Random) -> str:
    """Things and then where and when, with commas or without."""
    ground = places[0]
    rest = [place for place in places if place]
    if rng.random() < 0.25:
        rng.shuffle(rest)
    comma = "," if rng.random() < 0.5 else ""
    text = groups
    for number, place in enumerate(rest):
        text += f" {place}" if place == ground and number == 0 else f"{comma} {place}"
    return text


def _places(scene: Scene, said: Said, rng: Random) -> tuple[list[str], str]:
    """What tells the ground, the time of day and the weather, and one of the last two as a clause."""
    ground = rng.choice(GROUND_WORDS[scene.ground]) if said.ground else ""
    sky = rng.choice(SKY_WORDS[scene.sky]) if said.sky else ""
    weather = rng.choice(WEATHER_WORDS[scene.weather]) if said.weather else ""
    adjectives = WEATHER_ADJECTIVES[scene.weather]
    if said.sky and said.weather and scene.weather == "clear" and rng.random() < 0.7:
        sky, weather = rng.choice(CLEAR_SKY_WORDS[scene.sky]), ""
    elif said.sky and said.weather and adjectives and rng.random() < 0.3:
        one = article(f"{rng.choice(adjectives)} {rng.choice(TIMES[scene.sky])}")
        sky, weather = f"{rng.choice(('on', 'on', 'during'))} {one}", ""
    clause = ""
    if rng.random() < 0.15:
        if weather and rng.random() < 0.5:
            clause, weather = rng.choice(WEATHER_CLAUSES[scene.weather]), ""
        elif sky in SKY_WORDS[scene.sky]:
            clause, sky = rng.choice(SKY_CLAUSES[scene.sky]), ""
    return [ground, sky, weather], clause


def _tags(scene: Scene, said: Said, rng: Random) -> str:
    """ "red house, pine tree, snow, night": without articles, often without words between."""
    phrases = [
        phrase(group, colored, rng, bare=True)
        for group, colored in zip(scene.groups, said.colors, strict=True)
    ]
    if scene.relation in ("beside", "together"):
        rng.shuffle(phrases)
        groups = ", ".join(phrases)
    else:
        groups = relate(phrases, scene.relation, rng.choice(RELATION_WORDS[scene.relation] or ("",)))
    tags = [rng.choice(GROUND_TAGS[scene.ground])] if said.ground else []
    tags += [rng.choice(SKY_TAGS[scene.sky])] if said.sky else []
    tags += [rng.choice(WEATHER_TAGS[scene.weather])] if said.weather else []
    tags += [rng.choice(STYLE_ENDINGS[scene.style])] if said.style else []
    rng.shuffle(tags)
    tags += [rng.choice(ENDINGS)] if rng.random() < 0.1 else []
    return _punctuated(", ".join([groups, *tags]), rng.random() < 0.05, rng)


def _one_of_two(first: tuple[str, ...], second: tuple[str, ...], rng: Random) -> tuple[str, str]:
    """A word of either, and nothing for the other."""
    return (rng.choice(first), "") if rng.random() < 0.5 else ("", rng.choice(second))
