"""Captions tell the truth, in many wordings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from gesso.storybook import chinese
from gesso.storybook.captions import EXAMPLE_PROMPTS, Language, canonical_caption, caption
from gesso.storybook.compose import sample_scene
from gesso.storybook.scene import COLORS, USUAL_COLORS, Backdrop, Group, Scene, Thing
from gesso.storybook.words import (
    CLEAR_SKY_WORDS,
    COLOR_WORDS,
    GROUND_TAGS,
    GROUND_WORDS,
    NOUNS,
    NUMBERS,
    SCALE_WORDS,
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
    plural,
)
from gesso.text.vocabulary import train_tokenizer
from gesso.training.storybook import VOCAB_SIZE

KIND_OF = {form: kind for kind, nouns in NOUNS.items() for noun in nouns for form in (noun, plural(noun))}
NOUN_PATTERN = re.compile(rf"\b({'|'.join(sorted(KIND_OF, key=len, reverse=True))})\b")
COLOR_OF = {word: color for color in COLORS for word in COLOR_WORDS.get(color, (color,))}
COLOR_PATTERN = re.compile(rf"\b({'|'.join(COLOR_OF)})\b")
COLORED_PLACES = re.compile("green (grass|meadow)|blue sky")


def sample(count: int, seed: int = 0) -> list[Scene]:
    rng = Random(seed)
    return [sample_scene(rng) for _ in range(count)]


def colors_of(text: str) -> list[str]:
    """Of the things; meadows are green, and skies blue, without being asked."""
    return [COLOR_OF[word] for word in COLOR_PATTERN.findall(COLORED_PLACES.sub("", text))]


def says(text: str, phrases: Iterable[str]) -> bool:
    return any(re.search(rf"\b{phrase}\b", text) for phrase in phrases)


def days(scene: Scene) -> list[str]:
    """ "rainy night" and the like."""
    return [
        f"{weather} {time}" for weather in WEATHER_ADJECTIVES[scene.weather] for time in TIMES[scene.sky]
    ]


def nouns_of(text: str) -> list[str]:
    return [KIND_OF[noun] for noun in NOUN_PATTERN.findall(text)]


def test_captions_are_seeded_lower_case_and_various() -> None:
    scene = next(scene for scene in sample(50) if len(scene.groups) == 2)
    assert caption(scene, Random(1)) == caption(scene, Random(1))
    words = {caption(scene, Random(seed)) for seed in range(200)}
    assert len(words) > 100
    for text in words:
        assert text == text.lower().strip()
        assert "  " not in text
        assert not re.search(r" ,|,,|,\.|,$", text), text


def test_captions_name_what_is_there_and_nothing_else() -> None:
    rng = Random(7)
    for scene in sample(1500, seed=6):
        text = caption(scene, rng)
        assert sorted(nouns_of(text)) == sorted(group.kind for group in scene.groups), text
        colors = sorted(group.color for group in scene.groups)
        for color in colors_of(text):
            colors.remove(color)  # fails if the scene has no such colour (left)
        for words, actual in (
            (SKY_WORDS, scene.sky),
            (CLEAR_SKY_WORDS, scene.sky),
            (SKY_CLAUSES, scene.sky),
            (GROUND_WORDS, scene.ground),
            (WEATHER_WORDS, scene.weather),
            (WEATHER_CLAUSES, scene.weather),
            (STYLE_OPENINGS, scene.style),
        ):
            wrong = [phrase for name, phrases in words.items() if name != actual for phrase in phrases]
            assert not says(text, wrong), text
        counts = sorted(group.count for group in scene.groups if group.count > 1)
        told = [
            count
            for count, words in NUMBERS.items()
            for word in set(words)
            if count > 1 and re.search(rf"\b{word}\b", text)
        ]
        assert sorted(told) == counts or len(counts) != len(set(counts)), text


def test_complete_captions_leave_out_only_what_goes_without_saying() -> None:
    rng = Random(3)
    for scene in sample(800, seed=11):
        text = caption(scene, rng, complete=True)
        assert sorted(colors_of(text)) == sorted(group.color for group in scene.groups)
        assert says(text, (*GROUND_WORDS[scene.ground], *GROUND_TAGS[scene.ground])), text
        skies = (SKY_WORDS, CLEAR_SKY_WORDS, SKY_CLAUSES, SKY_TAGS)
        assert says(text, [*days(scene), *(phrase for words in skies for phrase in words[scene.sky])]), text
        if scene.weather != "clear":
            weathers = (WEATHER_WORDS, WEATHER_CLAUSES, WEATHER_TAGS)
            phrases = (phrase for words in weathers for phrase in words[scene.weather])
            assert says(text, [*days(scene), *phrases]), text
        if scene.style != "picture book":
            assert says(text, (*STYLE_OPENINGS[scene.style], *STYLE_ENDINGS[scene.style])), text


def test_a_rainbow_is_never_lost_on_the_way_to_the_front() -> None:
    """ "and a rainbow" cannot stand there."""
    rng = Random(12)
    scene = next(scene for scene in sample(500) if scene.weather == "rainbow")
    texts = [caption(scene, rng, complete=True) for _ in range(6000)]
    assert all("rainbow" in text for text in texts)
    assert not any(text.startswith("and ") for text in texts)


def test_usual_colors_are_mostly_left_out_and_others_seldom() -> None:
    def named(color: str) -> float:
        thing = Thing("pine", color, 0.5, 0.9, 0.5)
        scene = Scene(
            "day", "grass", "clear", "flat", (Group((thing,)),), "alone", Backdrop(0.6, 0.1, 0.1, 0)
        )
        rng = Random(0)
        return sum(color in caption(scene, rng) for _ in range(500)) / 500

    assert USUAL_COLORS["pine"] == "green"
    assert 0.5 < named("green") < 0.8
    assert named("blue") > 0.9


def test_captions_tell_relations_as_they_are() -> None:
    """Whatever the wording and the order of telling, what is said to be on the left is on the left."""
    rng = Random(8)
    told = 0
    for scene in sample(3000, seed=9):
        text = caption(scene, rng)
        if scene.relation not in ("left of", "right of") or len({g.kind for g in scene.groups}) < 2:
            continue
        first, second = nouns_of(text)
        x_of = {group.kind: group.box[0] for group in scene.groups}
        side = re.search(r"(its |their )?(left|right)(?: side)?( of)?( it\b| them\b)?", text)
        noun = NOUN_PATTERN.search(text)
        assert side, text
        assert noun, text
        # The second thing is beside the first, not the first beside the second: "a house with a tree to its
        # left", "left of a house stands a tree".
        around = side[1] or side[4] or (side[3] and side.start() < noun.start())
        expected = (side[2] == "left") != bool(around)
        assert (x_of[first] < x_of[second]) == expected, text
        told += 1
    assert told > 200


def test_canonical_caption_is_complete() -> None:
    for scene in sample(300, seed=10):
        text = canonical_caption(scene)
        assert colors_of(text) == [group.color for group in scene.groups]
        assert nouns_of(text) == [group.kind for group in scene.groups]
        assert SKY_WORDS[scene.sky][0] in text
        assert GROUND_WORDS[scene.ground][0] in text
        for group in scene.groups:
            assert group.scale is None or SCALE_WORDS[group.scale][0] in text


def test_the_first_prompt_of_the_manual_is_a_caption() -> None:
    house = Thing("house", "red", x=0.3, base=0.9, size=0.4)
    pine = Thing("pine", "green", x=0.7, base=0.9, size=0.4)
    groups = Group((house,)), Group((pine,))
    backdrop = Backdrop(0.66, 0.15, 0.15, 0.3)
    scene = Scene("night", "snow", "clear", "picture book", groups, "beside", backdrop)
    rng = Random(0)
    captions = {caption(scene, rng) for _ in range(30_000)}
    assert "a red house beside a pine tree, at night" in captions


def test_example_prompts_use_words_of_the_captions() -> None:
    rng = Random(0)
    known = {word for scene in sample(6000) for word in re.findall(r"[a-z]+", caption(scene, rng))}
    words = {word for prompt in EXAMPLE_PROMPTS for word in re.findall(r"[a-z]+", prompt)}
    assert len(EXAMPLE_PROMPTS) == 16
    assert words <= known


def test_chinese_captions_name_what_is_there() -> None:
    rng = Random(5)
    nouns = {noun[1:]: kind for kind, words in chinese.NOUNS.items() for noun in words}
    for scene in sample(400, seed=12):
        text = caption(scene, rng, language="zh", complete=True)
        assert not re.search("[a-z]", text)
        for group in scene.groups:
            assert any(noun in text for noun, kind in nouns.items() if kind == group.kind), text
            assert any(color in text for color in chinese.COLORS[group.color]), text
            assert f"{chinese.NUMBERS[group.count]}" in text
        assert any(word in text for word in chinese.SKIES[scene.sky])
        assert any(word in text for word in chinese.GROUNDS[scene.ground])


@pytest.mark.parametrize(("language", "side"), [("en", "left"), ("zh", "左")])
def test_both_languages_know_sides(language: Language, side: str) -> None:
    rng = Random(2)
    scenes = [scene for scene in sample(800) if scene.relation == "left of"]
    texts = [caption(scene, rng, language=language) for scene in scenes]
    assert sum(side in text for text in texts) > 0.4 * len(texts)


def test_captions_are_phrases_sentences_and_tags() -> None:
    """One scene is told in all the ways that people put their wishes."""
    rng = Random(1)
    cat, house = Thing("cat", "white", 0.3, 0.9, 0.2), Thing("house", "red", 0.7, 0.9, 0.4)
    groups = Group((cat,)), Group((house,))
    scene = Scene("night", "snow", "rain", "picture book", groups, "beside", Backdrop(0.66, 0.1, 0.1, 0.3))
    texts = {caption(scene, rng) for _ in range(20_000)}
    for pattern in (
        r"^a white cat sits (beside|near) a red (house|cottage) in the snow",
        r"^(beside|near) a red house (sits|there is) a white cat",
        r"^a red house with a white cat (beside|next to) it",
        r"^(white cat, red house|red house, white cat), snow, night, rain$",
        r"^please draw me a white cat",
        r"^it is night(,|\.| and|, and) a white cat",
        r"on a rainy night\.$",
        r"\bthe (white )?kitten\b",
        r"^a white cat .*, it is raining",
    ):
        assert any(re.search(pattern, text) for text in texts), pattern


def test_a_text_encoder_of_forty_tokens_reads_every_caption(tmp_path: Path) -> None:
    """With a vocabulary of the size that the built-in model's has."""
    rng = Random(6)
    texts = [
        caption(scene, rng, language="zh" if rng.random() < 0.2 else "en")
        for scene in sample(6000, seed=14)
    ]
    tokenizer = train_tokenizer(texts[:4000], VOCAB_SIZE, tmp_path)
    assert max(len(tokenizer.encode(text)) for text in texts) <= 38
