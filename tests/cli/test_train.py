"""``gesso train storybook``, with a tiny model: an interrupted run goes on as if it had not been."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import gesso as library
from gesso.config import STORYBOOK, AutoencoderConfig
from gesso.errors import ResumeError
from gesso.storybook.world import SMALL, WHOLE
from gesso.text.caption_words import caption_words
from gesso.text.tokenizer import Tokenizer
from gesso.training import storybook
from gesso.training.autoencoder_task import AutoencoderTask
from gesso.training.denoiser_task import DenoiserTask
from gesso.training.gallery import Easel
from gesso.training.pictures import Pictures
from gesso.training.presets import CPU, PRESETS, Preset
from gesso.training.reading_task import ReadingTask
from gesso.training.trainer import Trainer

Run = Callable[..., Any]


@pytest.fixture
def train(gesso: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``gesso train storybook``: three steps of two pictures for the autoencoder, two for the text encoder,
    four for the denoiser."""
    tiny = replace(
        STORYBOOK,
        unet=replace(
            STORYBOOK.unet,
            in_channels=4,
            out_channels=4,
            block_channels=(16, 32),
            attention_levels=(False, True),
            context_dim=16,
            groups=4,
            sample_size=8,
        ),
        autoencoder=AutoencoderConfig(block_channels=(8, 8, 16), layers_per_block=1, groups=4),
        text_encoder=replace(STORYBOOK.text_encoder, width=16, layers=1, heads=2, mlp_width=32),
    )
    monkeypatch.setattr(storybook, "CAPTIONS", 30)
    monkeypatch.setattr(storybook, "TAUGHT", 30)
    monkeypatch.setattr(storybook, "calibrate", partial(storybook.calibrate, count=4))
    short = {
        stage: replace(getattr(CPU, stage), batch_size=2, warmup=2)
        for stage in ("autoencoder", "reading", "denoiser")
    }
    set_preset(monkeypatch, replace(CPU, config=tiny, drawn=8, stored=64, **short))
    steps = ("--autoencoder-steps", "3", "--reading-steps", "2", "--denoiser-steps", "4")
    return lambda folder, *options: gesso("train", "storybook", "--output", folder, *steps, *options)


def set_preset(monkeypatch: pytest.MonkeyPatch, preset: Preset) -> None:
    monkeypatch.setitem(PRESETS, "cpu", preset)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, task: type, step: int) -> None:
    """Send the process an interrupt in the middle of one step of a task."""
    loss = task.loss

    def interrupted(self: Any, index: int) -> Any:
        if index == step:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(self, index)

    monkeypatch.setattr(task, "loss", interrupted)


def losses(folder: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(folder).glob("*.csv")}


def model_bytes(folder: str) -> dict[str, bytes]:
    model = Path(folder, "model")
    return {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = train("whole")
    assert (ended.status, ended.out, ended.err) == (0, "whole/model\n", "")
    assert [len(text.splitlines()) for _, text in sorted(losses("whole").items())] == [4, 5, 3]

    for task, step in ((AutoencoderTask, 1), (ReadingTask, 1), (DenoiserTask, 2)):
        with monkeypatch.context() as patch:
            interrupt_at(patch, task, step)
            ended = train("parts")
        assert (ended.status, ended.out) == (130, "")
        assert ended.err.strip() == "gesso: interrupted"
        assert not Path("parts/model").exists()
        last = losses("parts")[f"{task.name}.csv"].splitlines()[-1]
        assert last.startswith(f"{step},"), "the step is finished before leaving"
    assert train("parts").out == "parts/model\n"
    assert losses("parts") == losses("whole")
    assert model_bytes("parts") == model_bytes("whole")

    pipe = library.load("parts/model", device="cpu")
    assert pipe.config.noise.prediction == "v"
    assert pipe.config.autoencoder.scaling_factor != STORYBOOK.autoencoder.scaling_factor
    assert pipe("a red house", steps=1, seed=1).images[0].size == (32, 32)


def test_a_killed_run_goes_on_from_what_it_saved(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that it had logged and not saved are done, and logged, again."""
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", lambda _: None)
        loss = DenoiserTask.loss

        def killed(self: DenoiserTask, index: int) -> Any:
            if index == 2:
                raise ZeroDivisionError
            return loss(self, index)

        patch.setattr(DenoiserTask, "loss", killed)
        with pytest.raises(ZeroDivisionError):
            train("run")
    logged = losses("run")["denoiser.csv"]
    assert len(logged.splitlines()) == 3
    assert train("run").status == 0
    assert losses("run")["denoiser.csv"].startswith(logged)
    assert len(losses("run")["denoiser.csv"].splitlines()) == 5


def test_a_gallery_that_was_interrupted_is_filled_on(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are stored are not drawn and encoded again."""
    paint, painted = Easel.paint, []

    def counted(self: Easel, scenes: Any) -> Any:
        painted.append(len(scenes))
        if len(painted) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return paint(self, scenes)

    monkeypatch.setattr(Easel, "paint", counted)
    assert train("run").status == 130
    assert painted == [32]
    assert train("run").status == 0
    assert painted == [32, 32]


def test_pictures_of_a_finished_stage_are_not_drawn_again(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, ReadingTask, 1)
        train("run")
    monkeypatch.setattr(Pictures, "run", lambda _: pytest.fail("drawn again"))
    assert train("run").out == "run/model\n"


def test_a_gallery_of_another_size_is_not_mixed_in(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, DenoiserTask, 1)
        train("run")
    set_preset(monkeypatch, replace(PRESETS["cpu"], stored=96))
    line = train("run").refused()
    assert line.startswith("gesso: run/gallery.pt: belongs to a run with another count")


def test_a_finished_run_is_left_alone(train: Run) -> None:
    train("run")
    before = model_bytes("run")
    assert train("run").refused().startswith("gesso: run/model: exists already")
    assert model_bytes("run") == before


def test_a_run_of_another_recipe_is_not_mixed_in(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, AutoencoderTask, 1)
        train("run")
    state = Path("run/autoencoder.pt").read_bytes()
    preset = PRESETS["cpu"]
    other = replace(preset.autoencoder, learning_rate=0.5, seed=3)
    set_preset(monkeypatch, replace(preset, autoencoder=other))
    line = train("run").refused()
    assert line.startswith("gesso: run/autoencoder.pt: belongs to a run with another learning_rate, seed")
    with pytest.raises(ResumeError):
        train("run", "--debug")
    assert Path("run/autoencoder.pt").read_bytes() == state


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other keys", "pickle"])
def test_a_state_that_cannot_be_read(train: Run, damage: str) -> None:
    Path("run").mkdir()
    path = Path("run/autoencoder.pt")
    match damage:
        case "cut":
            torch.save({"step": 1, "model": torch.zeros(1000)}, path)
            path.write_bytes(path.read_bytes()[:2000])
        case "empty":
            path.touch()
        case "text":
            path.write_text("<html>")
        case "other keys":
            torch.save({"step": 1}, path)
        case "pickle":
            torch.save({"step": Path("run")}, path)
    before = path.read_bytes()
    line = train("run").refused()
    assert line.startswith("gesso: run/autoencoder.pt: not a readable training state")
    assert line.endswith("or remove the file to start anew.")
    assert len(line) < 300
    assert path.read_bytes() == before


def test_a_loss_that_is_no_number(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = AutoencoderTask.loss
    monkeypatch.setattr(
        AutoencoderTask, "loss", lambda self, step: loss(self, step) * (float("nan") if step == 1 else 1)
    )
    line = train("run").refused()
    assert line.startswith("gesso: autoencoder: the loss of step 1 is nan")


def test_a_folder_that_cannot_be_written(train: Run) -> None:
    Path("plain").write_text("mine")
    line = train("plain").refused()
    assert line.startswith("gesso: plain")
    assert Path("plain").read_text() == "mine"


def test_devices_are_checked_first(train: Run, here: Path) -> None:
    assert train("run", "--device", "tpu").refused().startswith('gesso: device: no device is called "tpu"')
    assert list(here.iterdir()) == []


def test_going_on_from_a_model(train: Run) -> None:
    """Its autoencoder and vocabulary stay, its text encoder and UNet learn on, with other noise."""
    train("first")
    assert train("second", "--start-from", "first/model", "--seed", "5").out == "second/model\n"
    assert sorted(losses("second")) == ["denoiser.csv"]
    first, second = model_bytes("first"), model_bytes("second")
    same = {name for name in first if first[name] == second[name]}
    weights = {name for name in first if name.endswith(".safetensors")}
    assert weights - same == {"unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"}
    assert "tokenizer/vocab.json" in same


def test_a_model_lists_the_words_of_the_worlds_it_was_taught(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(run: str) -> frozenset[str] | None:
        return Tokenizer.load(Path(run, "model", "tokenizer")).caption_words

    small, whole = (caption_words(storybook.captions_of(world, 30)) for world in (SMALL, WHOLE))
    assert not whole <= small
    train("first")
    assert listed("first") == small
    set_preset(monkeypatch, replace(PRESETS["cpu"], world=WHOLE))
    train("second", "--start-from", "first/model")
    assert listed("second") == small | whole


def test_going_on_from_no_model(train: Run, here: Path) -> None:
    assert "nowhere" in train("run", "--start-from", "nowhere/model").refused()
    assert list(here.iterdir()) == []


def test_a_full_disk_leaves_what_was_saved_before(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, DenoiserTask, 1)
        train("run")
    before = Path("run/denoiser.pt").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        line = train("run").refused()
    assert line.startswith("gesso: run/denoiser.pt: the training state cannot be written")
    assert "No space left" in line
    assert Path("run/denoiser.pt").read_bytes() == before
    assert not list(Path("run").glob("*.tmp"))
    assert train("run").out == "run/model\n"


def test_a_world_that_changed_under_its_name_is_another(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stored latents would be shown under other scenes' captions."""
    with monkeypatch.context() as patch:
        interrupt_at(patch, DenoiserTask, 1)
        train("run")
    set_preset(monkeypatch, replace(PRESETS["cpu"], world=replace(SMALL, skies=("day",))))
    line = train("run").refused()
    assert line.startswith("gesso: run/autoencoder.pt: belongs to a run with another world")
