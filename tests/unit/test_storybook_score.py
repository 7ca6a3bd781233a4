"""Reading and judging pictures: with a probe that errs in known ways, and with one trained a little."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gesso.errors import CheckpointError
from gesso.storybook.compose import rearranged, sample_scene
from gesso.storybook.held_out import is_held_out
from gesso.storybook.judge import ATTRIBUTES, judge, share_right
from gesso.storybook.labels import labels
from gesso.storybook.probe import CELL_HEADS, CELLS, PICTURE_HEADS, SIZE, Glance, Probe, load_probe
from gesso.storybook.reading import Reading, Sight, interpret
from gesso.storybook.render import draw
from gesso.storybook.scene import COLORS, KINDS, SKIES, Scene
from gesso.storybook.score import Examiner, fixed_prompts, frechet_distance, mean_distance
from gesso.storybook.shares import EVERY, errors_of, shares_of
from gesso.storybook.world import SMALL, WHOLE
from gesso.training.blemishes import blemish, compressed, cosine_basis, reduced
from gesso.training.probe_task import Targets, probe_loss, targets
from gesso.weights.safetensors_file import write_safetensors


def sample(count: int, seed: int = 0) -> list[Scene]:
    rng = Random(seed)
    return [sample_scene(rng, held_out=None) for _ in range(count)]


def perfect(wanted: Targets) -> Glance:
    """What a probe without fault would say."""
    count = len(wanted.middles)
    cells = {head: torch.zeros(count, channels, CELLS, CELLS) for head, channels in CELL_HEADS.items()}
    cells["kinds"].scatter_(1, wanted.maps.kinds[:, None], 30.0)
    cells["colors"].scatter_(1, wanted.maps.colors[:, None], 30.0)
    cells["middle"][:, 0] = wanted.middles * 60 - 30
    numbers, rows, columns = wanted.at
    cells["kind"][numbers, wanted.kinds, rows, columns] = 30.0
    cells["color"][numbers, wanted.colors, rows, columns] = 30.0
    for part in range(4):
        cells["place"][numbers, part, rows, columns] = wanted.places[:, part]
    pictures = {
        head: torch.nn.functional.one_hot(wanted.pictures[head], channels) * 30.0
        for head, channels in PICTURE_HEADS.items()
    }
    return Glance(cells, pictures, torch.zeros(count, 4))


def true_reading(scene: Scene) -> Reading:
    sights = tuple(Sight(t.kind, t.color, t.x, t.base - t.size / 2, t.size, t.base) for t in scene.things)
    return Reading(sights, scene.sky, scene.ground, scene.weather, scene.style)


def test_a_faultless_probe_finds_everything_in_every_picture() -> None:
    """Targets, reading and judging agree: what is drawn can be read back from the map of owners."""
    scenes = sample(64)
    wanted = targets(scenes, draw(scenes, SIZE).owners)
    glance = perfect(wanted)
    assert float(probe_loss(glance, wanted)) < 1e-3
    verdicts = [
        judge(labels(scene), reading) for scene, reading in zip(scenes, interpret(glance), strict=True)
    ]
    shares = share_right(verdicts)
    assert set(shares) == {*ATTRIBUTES, "whole"}
    assert {name: share for name, share in shares.items() if share < 1} == {}


def test_each_fault_costs_its_attribute() -> None:
    scene = next(
        s for s in sample(400) if s.relation == "left of" and {g.count for g in s.groups} == {1}
        and len({g.kind for g in s.groups}) == 2
    )  # fmt: skip
    good = true_reading(scene)
    assert all(judge(labels(scene), good).values())
    first, second = good.sights
    other_color = next(color for color in COLORS if color not in (first.color, second.color))
    other_kind = next(kind for kind in KINDS if kind not in (first.kind, second.kind))
    other_sky = next(sky for sky in SKIES if sky != scene.sky)
    faults = {
        "sky": replace(good, sky=other_sky),
        "relation": replace(good, sights=(replace(first, x=second.x), replace(second, x=first.x))),
        "count": replace(good, sights=(*good.sights, replace(first, x=0.5))),
        "nothing else": replace(good, sights=(*good.sights, replace(first, kind=other_kind))),
        "color": replace(good, sights=(replace(first, color=other_color), second)),
        "kind": replace(good, sights=(second,)),
    }
    for attribute, reading in faults.items():
        verdict = judge(labels(scene), reading)
        assert not verdict[attribute], attribute
        assert not verdict["whole"]
    assert judge(labels(scene), faults["color"])["kind"]
    assert judge(labels(scene), faults["sky"], ["kind"])["whole"], "what is left out does not count"


@pytest.mark.parametrize(
    ("relation", "swapped_is_right"),
    [("left of", False), ("right of", False), ("above", False), ("below", False), ("in front of", False),
     ("behind", False), ("beside", True)],
)  # fmt: skip
def test_relations_are_read_off_places(relation: str, swapped_is_right: bool) -> None:
    for scene in sample(900, seed=3):
        if scene.relation == relation:
            assert judge(labels(scene), true_reading(scene))["whole"]
            turned = replace(labels(scene), groups=labels(scene).groups[::-1])
            assert judge(turned, true_reading(scene))["relation"] == swapped_is_right


def test_scales_are_read_where_they_were_said() -> None:
    said = 0
    for scene in sample(600, seed=4):
        verdict = judge(labels(scene), true_reading(scene))
        wished = any(group.scale for group in scene.groups)
        assert ("scale" in verdict) == wished
        said += wished
        if wished:
            sights = tuple(replace(s, size=0.45 * s.size / s.scale) for s in true_reading(scene).sights)
            assert verdict["scale"]
            assert not judge(labels(scene), replace(true_reading(scene), sights=sights))["scale"]
    assert said > 50


def test_prompts_are_the_same_each_time_and_half_unseen() -> None:
    prompts = fixed_prompts(40, WHOLE)
    assert prompts == fixed_prompts(40, WHOLE)
    assert [is_held_out(prompt.scene) for prompt in prompts] == [False, True] * 20
    assert [prompt.seen for prompt in prompts] == [True, False] * 20
    assert all(each.scene.weather == "clear" for each in fixed_prompts(40, SMALL))


def test_rearranged_scenes_have_the_same_labels() -> None:
    rng = Random(1)
    for scene in sample(200, seed=5):
        other = rearranged(scene, rng)
        assert labels(other) == labels(scene)
        assert other.things != scene.things


class Oracle(Probe):
    """Knows the scene of every picture from its upper left pixel."""

    def __init__(self, scenes: dict[float, Scene]) -> None:
        super().__init__()
        self.scenes = scenes

    def forward(self, image: Tensor) -> Glance:
        scenes = [self.scenes.get(float(each[0, 0, 0]), next(iter(self.scenes.values()))) for each in image]
        return perfect(targets(scenes, draw(scenes, SIZE).owners))._replace(
            features=image.flatten(1)[:, :50]
        )


def test_a_model_that_draws_renderings_reaches_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    from gesso.storybook import score

    prompts = fixed_prompts(8, WHOLE)
    scenes: dict[float, Scene] = {}

    def marked(some: list[Scene], size: int) -> Tensor:
        images = torch.randn(len(some), 3, size, size)
        for scene, image in zip(some, images, strict=True):
            scenes[float(image[0, 0, 0])] = scene
        return images

    monkeypatch.setattr(score, "render", marked)
    by_text = {prompt.text: prompt.scene for prompt in prompts}
    accuracy = dict.fromkeys(ATTRIBUTES, 1.0) | {"weather": 0.98}
    examiner = Examiner(Oracle(scenes), accuracy, 16, WHOLE)
    seeds: list[range] = []

    def draw_prompts(texts: Sequence[str], seed: int) -> Tensor:
        seeds.append(range(seed, seed + len(texts)))
        return marked([by_text[text] for text in texts], 16)

    result = examiner.examine(prompts, draw_prompts, psnr=30.0, varied=3)
    assert seeds == [range(8), range(8, 11), range(16, 19), range(24, 27)]
    for part in (result.seen, result.unseen, result.total):
        assert set(part.drawn.values()) == {1.0}
        assert set(part.error.values()) == {0.0}
        assert part.drawn == part.ceiling
        assert part.chance["whole"] < 0.4
        assert "weather" not in part.drawn
    assert (result.constant, result.left_out) == ({}, {"weather": 0.98})
    assert result.diversity == pytest.approx(1, abs=0.2)
    assert examiner.examine(prompts, draw_prompts, psnr=30.0, varied=0).diversity is None


def test_what_is_the_same_in_all_of_a_world_does_not_count() -> None:
    accuracy = dict.fromkeys(ATTRIBUTES, 1.0) | {"weather": 0.5, "scale": 0.5}
    examiner = Examiner(Probe(), accuracy, 16, SMALL)
    assert examiner.constant == {"weather": "clear", "style": "picture book"}
    assert examiner.left_out == {"scale": 0.5}
    assert examiner.counted == ["kind", "color", "count", "relation", "sky", "ground", "nothing else"]


def test_a_probe_that_reads_nothing_well_counts_nothing() -> None:
    prompts = fixed_prompts(4, SMALL)
    examiner = Examiner(Probe().eval(), {}, 16, SMALL)
    result = examiner.examine(prompts, lambda texts, _: torch.zeros(len(texts), 3, 16, 16), 30.0, varied=0)
    assert result.total.drawn == result.total.error == {}


def test_shares_and_their_standard_errors() -> None:
    verdicts = [
        {"kind": True, "scale": True, "whole": True},
        {"kind": True, "whole": True},
        {"kind": False, "whole": False},
        {"kind": True, "scale": False, "whole": False},
    ]
    assert shares_of(verdicts) == {"kind": 3 / 4, "scale": 1 / 2, "whole": 1 / 2, EVERY: 4 / 6}
    errors = errors_of(verdicts)
    assert errors["kind"] == pytest.approx((3 / 4 * 1 / 4 / 4) ** 0.5), "binomial"
    assert errors["scale"] == pytest.approx((1 / 2 * 1 / 2 / 2) ** 0.5)
    squares = (2 - 4 / 3) ** 2 + (1 - 2 / 3) ** 2 + (0 - 2 / 3) ** 2 + (1 - 4 / 3) ** 2
    assert errors[EVERY] == pytest.approx(squares**0.5 / 6)


def test_frechet_distance_is_that_of_normal_distributions() -> None:
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(0)
    one = torch.randn(400, 6, generator=generator)
    other = torch.randn(300, 6, generator=generator) @ torch.randn(6, 6, generator=generator) + 0.5
    first, second = np.cov(one.numpy().T), np.cov(other.numpy().T)
    means = np.square(one.numpy().mean(0) - other.numpy().mean(0)).sum()
    expected = means + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert mean_distance(torch.tensor([[0.0], [1.0], [3.0]])) == pytest.approx(2)


def test_blemishes_are_seeded_and_small() -> None:
    images = draw(sample(24), 64).images
    spoilt = blemish(images, Random(1))
    assert torch.equal(spoilt, blemish(images, Random(1)))
    assert 0.005 < (spoilt - images).abs().mean() < 0.15
    assert spoilt.abs().max() <= 1


def test_compression_keeps_what_is_coarse() -> None:
    basis = cosine_basis(8).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(64), atol=1e-5, rtol=0)
    image = draw(sample(1), 64).images
    assert (compressed(image, 1e-6) - image).abs().max() < 1e-4
    assert reduced(image, 2).shape == image.shape
    rough = (compressed(image, 0.3) - image).abs().mean()
    assert (compressed(image, 0.05) - image).abs().mean() < rough


def test_the_probe_reads_any_size_and_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    probe = Probe()
    scenes = sample(2)
    drawing = draw(scenes, SIZE)
    wanted = targets(scenes, drawing.owners)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=3e-3)
    losses = []
    for _ in range(7):
        loss = probe_loss(probe(drawing.images), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0]
    with torch.no_grad():
        for size in (64, 128, 256):
            assert probe(torch.zeros(1, 3, size, size)).cells["middle"].shape == (1, 1, CELLS, CELLS)


@pytest.mark.parametrize(
    ("learnt", "world", "advice"),
    [
        ("small", "medium", "--world small, or a probe of `gesso train probe --world medium`"),
        ("tiny", "small", "^Use a probe of `gesso train probe --world small`"),
    ],
)
def test_a_probe_of_another_world_is_refused(learnt: str, world: str, advice: str, tmp_path: Path) -> None:
    path = tmp_path / "probe.safetensors"
    metadata = {"channels": "[40, 80, 96]", "accuracy": "{}", "world": learnt}
    write_safetensors(path, Probe().state_dict(), metadata, torch.float16)
    load_probe(path)
    with pytest.raises(CheckpointError, match=f"reads the {learnt} world, not the {world} one") as refusal:
        load_probe(path, world)
    assert re.search(advice, refusal.value.advice or "")
    assert str(path) in str(refusal.value)


def test_a_probe_comes_back_from_its_file(tmp_path: Path) -> None:
    probe = Probe()
    path = tmp_path / "probe.safetensors"
    write_safetensors(
        path, probe.state_dict(), {"channels": "[40, 80, 96]", "accuracy": '{"kind": 0.5}'}, torch.float16
    )
    assert path.stat().st_size < 2_000_000
    again, accuracy = load_probe(path)
    assert accuracy == {"kind": 0.5}
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        difference = again(image).features - probe(image).features
    assert difference.abs().max() < 0.02
    Image.new("RGB", (4, 4)).save(path, "PNG")
    with pytest.raises(CheckpointError, match="not a readable probe"):
        load_probe(path)
