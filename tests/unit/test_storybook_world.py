"""The storybook world: scenes are plausible, pictures are stable, captions tell the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
import torch
from torch.nn.functional import avg_pool2d

from gesso.storybook import palette
from gesso.storybook.captions import (
    EXAMPLE_PROMPTS,
    GROUND_WORDS,
    NOUNS,
    RELATION_WORDS,
    SKY_WORDS,
    canonical_caption,
    caption,
)
from gesso.storybook.render import render
from gesso.storybook.scene import (
    COLORS,
    FLYING,
    GROUNDS,
    KINDS,
    NATURAL,
    RELATIONS,
    SKIES,
    WIDTHS,
    Backdrop,
    Color,
    Kind,
    Scene,
    Sky,
    Thing,
    sample_scene,
)

KIND_OF = {noun: kind for kind, nouns in NOUNS.items() for noun in nouns}
NOUN_PATTERN = re.compile("|".join(sorted(KIND_OF, key=len, reverse=True)))
COLOR_PATTERN = re.compile(rf"\b({'|'.join(COLORS)})\b")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Operations this small are not worth sharing: threads would mostly wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def sample(count: int, seed: int = 0) -> list[Scene]:
    rng = Random(seed)
    return [sample_scene(rng) for _ in range(count)]


def single(kind: Kind, color: Color | None, sky: Sky = "day") -> Scene:
    size = min(0.58, 0.8 / WIDTHS[kind])
    thing = Thing(kind, color, x=0.5, base=0.44 + size / 2 if kind in FLYING else 0.86, size=size)
    return Scene(sky, "grass", (thing,), "alone", Backdrop(0.66, 0.15, 0.15, 0.3))


def test_scenes_are_seeded_and_differ() -> None:
    assert sample(50, seed=3) == sample(50, seed=3)
    assert sample(50, seed=3) != sample(50, seed=4)
    assert len(set(sample(200))) == 200


def test_scenes_use_the_whole_vocabulary() -> None:
    scenes = sample(1500)
    things = [thing for scene in scenes for thing in scene.things]
    assert {scene.sky for scene in scenes} == set(SKIES)
    assert {scene.relation for scene in scenes} == set(RELATIONS)
    assert {(thing.kind, thing.color) for thing in things} >= {(k, c) for k in KINDS for c in COLORS}
    assert {thing.kind for thing in things if thing.color is None} == set(NATURAL)
    assert {(thing.kind, scene.ground) for scene in scenes for thing in scene.things} == {
        (kind, ground) for kind in KINDS for ground in GROUNDS
    }


def test_things_are_in_the_picture_large_and_apart() -> None:
    for scene in sample(1500, seed=1):
        for thing in scene.things:
            left, top, right, bottom = thing.box
            assert min(left, top) >= 0
            assert max(right, bottom) <= 1
            assert max(thing.size, thing.width) >= (0.0, 0.48, 0.30, 0.20)[len(scene.things)]
        for one, other in combinations(scene.things, 2):
            (l1, t1, r1, b1), (l2, t2, r2, b2) = one.box, other.box
            assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1, scene


def test_relations_hold_in_coordinates() -> None:
    for scene in sample(1500, seed=2):
        first, *others = scene.things
        match scene.relation:
            case "alone":
                assert not others
            case "left of":
                assert first.x < others[0].x
            case "right of":
                assert first.x > others[0].x
            case "above":
                assert all(first.box[3] < other.box[1] for other in others)
            case "below":
                assert first.box[1] > others[0].box[3]
            case "between":
                assert min(o.x for o in others) < first.x < max(o.x for o in others)
            case "beside" | "together":
                assert len(others) == (1 if scene.relation == "beside" else 2)


def test_pictures_are_stable_and_in_range() -> None:
    scenes = sample(12)
    images = render(scenes)
    assert images.shape == (12, 3, 64, 64)
    assert images.dtype == torch.float32
    assert images.min() >= -1
    assert images.max() <= 1
    assert torch.equal(images, render(scenes))
    alone = torch.cat([render([scene]) for scene in scenes])
    torch.testing.assert_close(images, alone, rtol=0, atol=1e-3)


def test_pictures_show_the_same_at_any_size() -> None:
    scenes = sample(24, seed=5)
    small = render(scenes, 64)
    reduced = avg_pool2d(render(scenes, 128), 2)
    assert (small - reduced).abs().flatten(1).mean(1).max() < 0.01  # a shift by one pixel gives 0.04


@pytest.mark.parametrize("kind", KINDS)
def test_main_color_covers_most_of_a_thing(kind: Kind) -> None:
    """Another colour changes a third of the box by a fifth of the range or more, under every sky."""
    left, top, right, bottom = (round(48 * edge) for edge in single(kind, None).things[0].box)
    for sky in SKIES:
        images = render([single(kind, color, sky) for color in COLORS], 48)
        boxes = images[:, :, top:bottom, left:right]
        for one, other in combinations(range(len(COLORS)), 2):
            differs = (boxes[one] - boxes[other]).abs().amax(0) > 0.2
            assert differs.float().mean() > 0.3, (sky, COLORS[one], COLORS[other])


def test_two_alike_in_one_scene_are_both_drawn() -> None:
    scene = single("house", "red")
    left, right = (replace(scene.things[0], x=x, size=0.3) for x in (0.25, 0.75))
    both = render([replace(scene, things=(left, right), relation="left of")])
    torch.testing.assert_close(both[..., :32], render([replace(scene, things=(left,))])[..., :32])
    torch.testing.assert_close(both[..., 32:], render([replace(scene, things=(right,))])[..., 32:])


def test_windows_shine_in_the_dark() -> None:
    def window(sky: Sky) -> torch.Tensor:
        thing = single("house", "blue", sky).things[0]
        row, column = thing.base - 0.34 * thing.size, thing.x + 0.245 * thing.size
        return render([single("house", "blue", sky)], 128)[0, :, round(row * 128), round(column * 128)]

    lamp = torch.tensor(palette.LAMP) * 2 - 1
    torch.testing.assert_close(window("night"), lamp, atol=0.02, rtol=0)
    assert (window("day") - lamp).abs().max() > 0.3


def test_captions_are_seeded_lower_case_and_various() -> None:
    scene = sample(1)[0]
    assert caption(scene, Random(1)) == caption(scene, Random(1))
    words = {caption(scene, Random(seed)) for seed in range(200)}
    assert len(words) > 40
    assert all(text == text.lower() and "  " not in text for text in words)


def test_captions_name_what_is_there_and_nothing_else() -> None:
    rng = Random(7)
    for scene in sample(1500, seed=6):
        text = caption(scene, rng)
        kinds = sorted(KIND_OF[noun] for noun in NOUN_PATTERN.findall(text))
        assert kinds == sorted(thing.kind for thing in scene.things), text
        colors = sorted(thing.color for thing in scene.things if thing.color)
        for color in COLOR_PATTERN.findall(text):
            colors.remove(color)  # fails if the scene has no such colour (left)
        for words, actual in ((SKY_WORDS, scene.sky), (GROUND_WORDS, scene.ground)):
            wrong = [phrase for name, phrases in words.items() if name != actual for phrase in phrases]
            assert not any(re.search(rf"\b{phrase}\b", text) for phrase in wrong), text


def test_captions_tell_relations_as_they_are() -> None:
    """In every "a … left of … b" a is on the left, also where the order of telling was turned round."""
    rng = Random(8)
    sides = 0
    for scene in sample(1500, seed=9):
        match = re.search(r"(left|right) of", text := caption(scene, rng))
        if not match or len({thing.kind for thing in scene.things}) < 2:
            continue
        before, after = (
            NOUN_PATTERN.findall(part) for part in (text[: match.start()], text[match.end() :])
        )
        x_of = {thing.kind: thing.x for thing in scene.things}
        first, second = x_of[KIND_OF[before[-1]]], x_of[KIND_OF[after[0]]]
        assert (first < second) == (match[1] == "left"), text
        sides += 1
    assert sides > 100


def test_canonical_caption_is_complete() -> None:
    for scene in sample(300, seed=10):
        text = canonical_caption(scene)
        assert COLOR_PATTERN.findall(text) == [thing.color for thing in scene.things if thing.color]
        assert [KIND_OF[noun] for noun in NOUN_PATTERN.findall(text)] == [t.kind for t in scene.things]
        assert text.endswith(SKY_WORDS[scene.sky][0])
        assert GROUND_WORDS[scene.ground][0] in text


def test_the_first_prompt_of_the_manual_is_a_caption() -> None:
    house = Thing("house", "red", x=0.3, base=0.9, size=0.4)
    pine = Thing("pine", None, x=0.7, base=0.9, size=0.4)
    scene = Scene("night", "snow", (house, pine), "beside", Backdrop(0.66, 0.15, 0.15, 0.3))
    rng = Random(0)
    captions = {caption(scene, rng) for _ in range(20_000)}
    assert "a red house beside a pine tree, at night" in captions


def test_example_prompts_use_words_of_the_captions() -> None:
    phrases = [*SKY_WORDS.values(), *GROUND_WORDS.values(), *RELATION_WORDS.values(), *NOUNS.values()]
    known = {word for group in phrases for phrase in group for word in phrase.split()} | {
        *COLORS,
        "a",
        "an",
    }
    words = {word for prompt in EXAMPLE_PROMPTS for word in re.findall(r"[a-z]+", prompt)}
    assert len(EXAMPLE_PROMPTS) == 16
    assert words <= known
    assert set(COLORS) <= words
    nouns = {KIND_OF[noun] for prompt in EXAMPLE_PROMPTS for noun in NOUN_PATTERN.findall(prompt)}
    assert nouns == set(KINDS)
