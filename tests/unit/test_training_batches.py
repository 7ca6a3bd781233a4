"""Batches that several processes make, and steps that a GPU records: the same as without either."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from gesso.config import AutoencoderConfig
from gesso.storybook.render import render
from gesso.storybook.world import SMALL
from gesso.text.caption_words import caption_words
from gesso.training import batches, scenes
from gesso.training.autoencoder_task import AutoencoderTask
from gesso.training.pictures import Pictures
from gesso.training.presets import CPU
from gesso.training.trainer import Trainer

RECIPE = replace(CPU.autoencoder, batch_size=2, steps=8, warmup=2)


def task_on(device: str) -> AutoencoderTask:
    where = torch.device(device)
    pictures = Pictures(SMALL, 6, 32, 0, where)
    assert list(pictures.run()) == [6]
    config = AutoencoderConfig(block_channels=(8, 16), layers_per_block=1, groups=4)
    return AutoencoderTask(config, pictures, SMALL, RECIPE, where)


@pytest.mark.parametrize("count", [0, 2])
def test_batches_are_what_the_task_makes_in_the_order_of_steps(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if count and sys.platform != "linux":
        pytest.skip("processes are forked on Linux only")
    monkeypatch.setattr(batches, "workers", lambda: count)
    task = task_on("cpu")
    made = list(batches.batches(task, range(3, 8)))
    assert len(made) == 5
    for step, batch in enumerate(made, 3):
        for part, expected in zip(batch, task.batch(step), strict=True):
            torch.testing.assert_close(part, expected, rtol=0, atol=0)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_scenes_do_not_depend_on_who_makes_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "AT_ONCE", 4)
    alone = scenes.many_scenes("mine", 10, SMALL)
    monkeypatch.setattr(scenes, "workers", lambda: 2)
    assert scenes.many_scenes("mine", 10, SMALL) == alone
    assert scenes.many_scenes("mine", 5, SMALL) == alone[:5], "nor on how many there are"
    assert scenes.many_scenes("other", 10, SMALL) != alone


def test_prompts_are_captions_with_a_strange_word_now_and_then() -> None:
    scene = scenes.many_scenes("mine", 1, SMALL)[0]
    known = caption_words(scenes.worded(scene, Random(seed)) for seed in range(3000))
    strange = [caption_words([scenes.prompt_for(scene, Random(seed))]) - known for seed in range(1000)]
    assert all(len(words) <= 1 for words in strange)
    assert 20 < sum(map(len, strange)) < 60, "one in twenty, but not in Chinese"
    for seed in range(50):
        text = scenes.with_strange_word("a red house", Random(seed))
        assert [word for word in text.split(" ") if word in ("a", "red", "house")] == ["a", "red", "house"]
        assert len(text.split(" ")) == 4
    assert scenes.with_strange_word("一座红色的房子", Random(0)) == "一座红色的房子"


def test_pictures_are_renderings_in_eight_bits() -> None:
    pictures = Pictures(SMALL, 3, 32, 0, torch.device("cpu"))
    list(pictures.run())
    shown = pictures.shown(torch.tensor([2, 0]))
    rendered = render(scenes.many_scenes("pictures 0", 3, SMALL), 32)[[2, 0]]
    assert (shown - rendered).abs().max() <= 1.001 / 255


@pytest.mark.parametrize(("cores", "count"), [(1, 0), (2, 0), (5, 3), (64, batches.MOST_WORKERS)])
def test_as_many_processes_make_batches_as_there_are_cores_to_spare(
    cores: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches.sys, "platform", "linux")
    monkeypatch.setattr(batches.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert batches.workers() == count
    monkeypatch.setattr(batches.sys, "platform", "darwin")
    assert batches.workers() == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_recorded_steps_are_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their losses are those of steps taken one by one, up to rounding."""
    recorded = Trainer(task_on("cuda"), RECIPE, tmp_path / "recorded")
    losses = [step.loss for step in recorded.run()]
    one_by_one = Trainer(task_on("cuda"), RECIPE, tmp_path / "one by one")
    monkeypatch.setattr(
        one_by_one, "_steps", lambda: lambda: one_by_one._update(one_by_one.task.loss(one_by_one.step))
    )
    expected = [step.loss for step in one_by_one.run()]
    assert losses == pytest.approx(expected, rel=2e-2)
    assert losses[-1] < losses[0]
