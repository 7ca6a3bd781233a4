"""The storybook world: scenes are plausible, pictures are stable, maps and labels are true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
import torch
from torch.nn.functional import avg_pool2d

from gesso.errors import RequestError
from gesso.storybook import palette
from gesso.storybook.compose import sample_scene
from gesso.storybook.held_out import is_held_out, is_pair_held_out, is_triple_held_out
from gesso.storybook.labels import labels
from gesso.storybook.layout import BIG_ABOVE, SMALL_BELOW
from gesso.storybook.render import draw, render
from gesso.storybook.scene import (
    COLORS,
    FLYING,
    GROUNDS,
    HEIGHTS,
    KINDS,
    RELATIONS,
    SCALES,
    SKIES,
    STYLES,
    USUAL_COLORS,
    WEATHERS,
    WIDTHS,
    Backdrop,
    Color,
    Group,
    Kind,
    Scene,
    Sky,
    Style,
    Thing,
    Weather,
)
from gesso.storybook.segmentation import majority, segment
from gesso.storybook.world import MEDIUM, SMALL, WHOLE, WORLDS, World, find_world


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Operations this small are not worth sharing: threads would mostly wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def sample(count: int, seed: int = 0, world: World = WHOLE) -> list[Scene]:
    rng = Random(seed)
    return [sample_scene(rng, world) for _ in range(count)]


def single(
    kind: Kind,
    color: Color,
    sky: Sky = "day",
    weather: Weather = "clear",
    style: Style = "picture book",
) -> Scene:
    size = min(0.58, 0.8 / WIDTHS[kind])
    thing = Thing(kind, color, x=0.5, base=0.44 + size / 2 if kind in FLYING else 0.86, size=size)
    return Scene(sky, "grass", weather, style, (Group((thing,)),), "alone", Backdrop(0.66, 0.15, 0.15, 0.3))


def test_scenes_are_seeded_and_differ() -> None:
    assert sample(50, seed=3) == sample(50, seed=3)
    assert sample(50, seed=3) != sample(50, seed=4)
    assert len(set(sample(200))) == 200


def test_scenes_use_the_whole_vocabulary() -> None:
    scenes = sample(4000)
    groups = [group for scene in scenes for group in scene.groups]
    seen = {(kind, color) for kind in KINDS for color in COLORS if not is_pair_held_out(kind, color)}
    assert {(group.kind, group.color) for group in groups} == seen
    assert {scene.sky for scene in scenes} == set(SKIES)
    assert {scene.weather for scene in scenes} == set(WEATHERS)
    assert {scene.style for scene in scenes} == set(STYLES)
    assert {scene.relation for scene in scenes} == set(RELATIONS)
    assert {group.scale for group in groups} == {*SCALES, None}
    assert {group.count for group in groups} == {1, 2, 3, 4, 5}
    assert {(group.kind, scene.ground) for scene in scenes for group in scene.groups} == {
        (kind, ground) for kind in KINDS for ground in GROUNDS
    }


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_a_smaller_world_keeps_to_itself(world: World) -> None:
    for scene in sample(600, world=world):
        assert scene.relation in world.relations
        assert scene.weather in world.weathers
        assert scene.style in world.styles
        if len(scene.groups) == 2:
            assert len(scene.things) <= world.most_things
        for group in scene.groups:
            assert group.kind in world.kinds
            assert group.count <= world.most_alike
            assert world.scales or group.scale is None


def test_worlds_have_names() -> None:
    assert find_world("small") is SMALL
    with pytest.raises(RequestError, match="small, medium, whole"):
        find_world("tiny")


def test_worlds_are_parts_of_each_other() -> None:
    levels = SMALL, MEDIUM, WHOLE
    for size, larger in enumerate(levels, 1):
        assert [larger.includes(other) for other in levels] == [True] * size + [False] * (3 - size)
    assert not SMALL.includes(replace(SMALL, most_things=4))
    assert not replace(WHOLE, scales=False).includes(SMALL)


def test_things_are_in_the_picture_and_groups_apart() -> None:
    for scene in sample(1500, seed=1):
        for thing in scene.things:
            left, top, right, bottom = thing.box
            assert min(left, top) >= 0, scene
            assert max(right, bottom) <= 1, scene
        for one, other in combinations(scene.groups, 2):
            (l1, t1, r1, b1), (l2, t2, r2, b2) = one.box, other.box
            apart = r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
            assert apart != (scene.relation in ("in front of", "behind")), scene


def test_groups_are_of_one_kind_color_and_scale() -> None:
    for scene in sample(1500, seed=4):
        assert len({(group.kind, group.color) for group in scene.groups}) == len(scene.groups)
        for group in scene.groups:
            assert {(thing.kind, thing.color) for thing in group.things} == {(group.kind, group.color)}
            scale = max(thing.size for thing in group.things) / HEIGHTS[group.kind]
            if group.scale:
                assert scale < SMALL_BELOW if group.scale == "small" else scale > BIG_ABOVE


def test_every_thing_can_be_seen() -> None:
    scenes = sample(160, seed=6)
    for start in range(0, 160, 40):
        part = scenes[start : start + 40]
        for scene, owners in zip(part, draw(part, 64).owners, strict=True):
            seen = owners.flatten().bincount(minlength=20)
            for number, thing in enumerate(scene.things):
                assert seen[2 + number] > 0.2 * thing.size * thing.width * 64**2, scene


def test_relations_hold_in_coordinates() -> None:
    for scene in sample(2500, seed=2):
        first, *others = scene.groups
        left, top, right, bottom = first.box
        match scene.relation:
            case "alone":
                assert not others
            case "left of":
                assert right <= others[0].box[0]
            case "right of":
                assert left >= others[0].box[2]
            case "above":
                assert bottom <= others[0].box[1]
            case "below":
                assert top >= others[0].box[3]
            case "in front of":
                assert bottom > others[0].box[3] + 0.05
            case "behind":
                assert bottom < others[0].box[3] - 0.05
            case "between":
                middles = [(other.box[0] + other.box[2]) / 2 for other in others]
                assert min(middles) < (left + right) / 2 < max(middles)
            case "beside" | "together":
                assert len(others) == (1 if scene.relation == "beside" else 2)


def test_what_is_held_out_is_never_sampled_unless_asked_for() -> None:
    assert not any(is_held_out(scene) for scene in sample(1500))
    rng = Random(0)
    assert all(is_held_out(sample_scene(rng, held_out=True)) for _ in range(200))
    share = sum(is_held_out(sample_scene(rng, held_out=None)) for _ in range(2000)) / 2000
    assert 0.06 < share < 0.2


def test_held_out_relations_are_the_same_from_both_sides() -> None:
    for one, other in combinations(KINDS, 2):
        for relation, mirrored in (("left of", "right of"), ("above", "below"), ("behind", "in front of")):
            assert is_triple_held_out(one, relation, other) == is_triple_held_out(other, mirrored, one)
        assert is_triple_held_out(one, "beside", other) == is_triple_held_out(other, "beside", one)


def test_the_rule_of_what_is_held_out_stays() -> None:
    """Weights are trained on what the rule leaves in: it must not change under them."""
    held = [(color, kind) for kind in KINDS for color in COLORS if is_pair_held_out(kind, color)]
    assert held == [
        ("brown", "mountain"), ("brown", "castle"), ("red", "tree"), ("orange", "flower"),
        ("green", "flower"), ("grey", "car"), ("yellow", "boat"), ("orange", "balloon"),
        ("grey", "lighthouse"), ("black", "bird"),
    ]  # fmt: skip
    assert not any(is_pair_held_out(kind, color) for kind, color in USUAL_COLORS.items())


def test_labels_are_those_of_the_scene() -> None:
    for scene in sample(100, seed=8):
        found = labels(scene)
        assert [each.count for each in found.groups] == [group.count for group in scene.groups]
        assert sum(each.count for each in found.groups) == len(scene.things)
        assert (found.relation, found.weather, found.style) == (scene.relation, scene.weather, scene.style)


def test_pictures_are_stable_and_in_range() -> None:
    scenes = sample(16)
    images = render(scenes)
    assert images.shape == (16, 3, 64, 64)
    assert images.dtype == torch.float32
    assert images.min() >= -1
    assert images.max() <= 1
    assert torch.equal(images, render(scenes))
    alone = torch.cat([render([scene]) for scene in scenes])
    torch.testing.assert_close(images, alone, rtol=0, atol=1e-3)


def test_pictures_show_the_same_at_any_size() -> None:
    scenes = sample(24, seed=5, world=replace(WHOLE, styles=("picture book", "flat", "pixel art")))
    small = render(scenes, 64)
    reduced = avg_pool2d(render(scenes, 128), 2)
    assert (small - reduced).abs().flatten(1).mean(1).max() < 0.03


def test_styles_differ_and_keep_the_map() -> None:
    scenes = [single("house", "red", style=style) for style in STYLES]
    images, owners = draw(scenes, 96)
    for one, other in combinations(range(len(STYLES)), 2):
        assert (images[one] - images[other]).abs().mean() > 0.015, (STYLES[one], STYLES[other])
    for style, map_ in zip(STYLES, owners, strict=True):
        assert (map_ != owners[0]).float().mean() < (0.06 if style == "pixel art" else 1e-6)


@pytest.mark.parametrize("weather", WEATHERS[1:])
def test_weather_is_to_be_seen(weather: Weather) -> None:
    clear, other = render([single("cat", "orange"), single("cat", "orange", weather=weather)], 64)
    assert (clear - other).abs().mean() > 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_main_color_covers_most_of_a_thing(kind: Kind) -> None:
    """Another colour changes a fifth of the box by a seventh of the range or more, under every sky."""
    left, top, right, bottom = (round(48 * edge) for edge in single(kind, "red").things[0].box)
    for sky in SKIES:
        images = render([single(kind, color, sky) for color in COLORS], 48)
        boxes = images[:, :, top:bottom, left:right]
        for one, other in combinations(range(len(COLORS)), 2):
            differs = (boxes[one] - boxes[other]).abs().amax(0) > 0.15
            assert differs.float().mean() > 0.18, (sky, COLORS[one], COLORS[other])


def test_the_nearer_thing_hides_the_farther_one() -> None:
    far, near = (
        replace(single(kind, "red").things[0], base=base, size=0.5)
        for kind, base in (("house", 0.75), ("cat", 0.9))
    )
    for groups, relation, cat in (((near, far), "in front of", 2), ((far, near), "behind", 3)):
        scene = replace(
            single("cat", "red"), groups=tuple(Group((each,)) for each in groups), relation=relation
        )
        owners = draw([scene], 64).owners[0]
        assert owners[round(0.65 * 64), 32] == cat


def test_two_alike_in_one_scene_are_both_drawn() -> None:
    scene = single("house", "red")
    left, right = (replace(scene.things[0], x=x, size=0.3) for x in (0.25, 0.75))
    both = render([replace(scene, groups=(Group((left, right)),))])
    torch.testing.assert_close(both[..., :32], render([replace(scene, groups=(Group((left,)),))])[..., :32])
    torch.testing.assert_close(
        both[..., 32:], render([replace(scene, groups=(Group((right,)),))])[..., 32:]
    )


def test_boats_are_reflected_by_water_alone() -> None:
    scene = single("boat", "red")
    boat = replace(scene, groups=(Group((replace(scene.things[0], base=0.75, size=0.4),)),))
    for ground, shown in (("water", True), ("sand", False)):
        empty, drawn = render(
            [replace(boat, ground=ground, groups=(Group((single("kite", "red").things[0],)),)),
             replace(boat, ground=ground)], 64
        )  # fmt: skip
        below = slice(54, 58)
        changed = (empty - drawn)[:, below, 28:36].abs().mean() > 0.02
        assert bool(changed) == shown


def test_windows_shine_in_the_dark() -> None:
    def window(sky: Sky) -> torch.Tensor:
        scene = single("train", "blue", sky)
        thing = scene.things[0]
        row, column = thing.base - 0.64 * thing.size, thing.x - 0.40 * thing.size
        return render([scene], 128)[0, :, round(row * 128), round(column * 128)]

    lamp = torch.tensor(palette.LAMP) * 2 - 1
    torch.testing.assert_close(window("night"), lamp, atol=0.25, rtol=0)
    assert (window("day") - lamp).abs().max() > 0.4


def test_maps_tell_what_is_where() -> None:
    scenes = sample(12, seed=9)
    owners = draw(scenes, 128).owners
    whole = segment(scenes, owners)
    assert whole.kinds.shape == whole.colors.shape == (12, 128, 128)
    for scene, kinds, colors in zip(scenes, whole.kinds, whole.colors, strict=True):
        names = {KINDS[number - 2] for number in kinds.unique().tolist() if number > 1}
        assert names == {group.kind for group in scene.groups}
        paints = {COLORS[number - 1] for number in colors.unique().tolist() if number}
        assert paints == {group.color for group in scene.groups}
        assert torch.equal(colors > 0, kinds > 1)
    cells = segment(scenes, owners, side=16)
    assert cells.kinds.shape == (12, 16, 16)
    assert (cells.kinds.repeat_interleave(8, 1).repeat_interleave(8, 2) == whole.kinds).float().mean() > 0.9


def test_a_cell_is_what_most_of_it_is() -> None:
    classes = torch.tensor([[[0, 0, 3, 3], [0, 2, 3, 1], [1, 1, 2, 2], [1, 0, 0, 2]]])
    assert majority(classes, 4, 2).tolist() == [[[0, 3], [1, 2]]]
