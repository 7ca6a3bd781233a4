"""Scenes in English: as a phrase, as a sentence, or as the tags of which prompts are often made."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gesso.storybook.scene import USUAL_COLORS, Group, Relation, Scene
from gesso.storybook.words import (
    CLEAR_SKY_WORDS,
    COLOR_WORDS,
    ENDINGS,
    FILLERS,
    GROUND_TAGS,
    GROUND_WORDS,
    JOINING,
    NOUNS,
    NUMBERS,
    OPENINGS,
    OPPOSITES,
    RELATION_WORDS,
    SCALE_WORDS,
    SKY_CLAUSES,
    SKY_TAGS,
    SKY_WORDS,
    STYLE_ENDINGS,
    STYLE_OPENINGS,
    TIMES,
    VERBS,
    WEATHER_ADJECTIVES,
    WEATHER_CLAUSES,
    WEATHER_TAGS,
    WEATHER_WORDS,
    article,
    plural,
    spelled,
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
        _phrase(group, colored, None) for group, colored in zip(scene.groups, said.colors, strict=True)
    ]
    text = _relate(phrases, scene.relation, (RELATION_WORDS[scene.relation] or ("",))[0])
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
    things = _things(scene, said, rng, is_sentence)
    places, clause = _places(scene, said, rng)
    if not is_sentence and not opening:
        opening = _opening(scene, things, rng)
    if clause:
        joint = rng.choice((", ", ". ", " and ", ", and "))
        before = not opening and rng.random() < 0.5
        text = f"{clause}{joint}{_arranged(things, places, rng)}" if before else ""
        text = text or f"{_join(opening, _arranged(things, places, rng))}{joint}{clause}"
    else:
        first = _first(places, rng) if not opening and rng.random() < 0.12 else ""
        text = first + _join(opening, _arranged(things, places, rng))
    if not ending and rng.random() < 0.04:
        ending = rng.choice(ENDINGS)
    text += f", {ending}" if ending else ""
    return _punctuated(text, rng.random() < (0.7 if is_sentence else 0.25), rng)


def _punctuated(text: str, ends: bool, rng: Random) -> str:
    """With one comma where two parts brought one, and perhaps a full stop."""
    for twice, once in ((",,", ","), (",.", "."), (", and,", " and,")):
        text = text.replace(twice, once)
    return text.rstrip(",") + (rng.choice(".....!") if ends else "")


def _opening(scene: Scene, things: str, rng: Random) -> str:
    kind = rng.random()
    if kind < 0.06:
        return (
            "there are"
            if scene.groups[0].count > 1 and not things.startswith(("a ", "an "))
            else "there is"
        )
    return rng.choice(OPENINGS) if kind < 0.16 else ""


def _first(places: list[str], rng: Random) -> str:
    """One of the places, taken away to stand before everything."""
    told = [number for number, place in enumerate(places) if place]
    if not told:
        return ""
    number = rng.choice(told)
    first, places[number] = places[number], ""
    return "" if first.startswith("and ") else f"{first}, "


def _arranged(things: str, places: list[str], rng: Random) -> str:
    """Things and then where and when, with commas or without."""
    ground = places[0]
    rest = [place for place in places if place]
    if rng.random() < 0.25:
        rng.shuffle(rest)
    comma = "," if rng.random() < 0.5 else ""
    text = things
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
        _phrase(group, colored, rng, bare=True)
        for group, colored in zip(scene.groups, said.colors, strict=True)
    ]
    if scene.relation in ("beside", "together"):
        rng.shuffle(phrases)
        things = ", ".join(phrases)
    else:
        things = _relate(phrases, scene.relation, rng.choice(RELATION_WORDS[scene.relation] or ("",)))
    tags = [rng.choice(GROUND_TAGS[scene.ground])] if said.ground else []
    tags += [rng.choice(SKY_TAGS[scene.sky])] if said.sky else []
    tags += [rng.choice(WEATHER_TAGS[scene.weather])] if said.weather else []
    tags += [rng.choice(STYLE_ENDINGS[scene.style])] if said.style else []
    rng.shuffle(tags)
    tags += [rng.choice(ENDINGS)] if rng.random() < 0.1 else []
    return _punctuated(", ".join([things, *tags]), rng.random() < 0.05, rng)


def _things(scene: Scene, said: Said, rng: Random, is_sentence: bool) -> str:
    groups, relation, colors = list(scene.groups), scene.relation, list(said.colors)
    phrases = [_phrase(group, colored, rng) for group, colored in zip(groups, colors, strict=True)]
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
    if not is_sentence or words in JOINING or relation == "together":
        return _relate(phrases, relation, words)
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


def _phrase(group: Group, colored: bool, rng: Random | None, *, bare: bool = False) -> str:
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
    described = _join(*words, noun) + behind
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


def _one_of_two(first: tuple[str, ...], second: tuple[str, ...], rng: Random) -> tuple[str, str]:
    """A word of either, and nothing for the other."""
    return (rng.choice(first), "") if rng.random() < 0.5 else ("", rng.choice(second))


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
