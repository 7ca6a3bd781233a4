"""``gesso samplers``, ``gesso models`` and ``gesso convert``."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image

from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.spacing import SCHEDULES
from gesso.weights import hub

Run = Callable[..., Any]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and no network."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(hub, "STORYBOOK_FOLDER", tmp_path / "no storybook")
    return tmp_path / "cache"


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_samplers_lists_every_name_and_label(gesso: Run) -> None:
    ended = gesso("samplers")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    for entry in (*SAMPLERS.values(), *SCHEDULES.values()):
        assert any(line.startswith(f"{entry.name} ") and f" {entry.label} " in line for line in lines), (
            entry
        )
    assert not any(line != line.rstrip() for line in lines)


def test_samplers_as_json(gesso: Run) -> None:
    listing = json.loads(gesso("samplers", "--json").out)
    assert [entry["name"] for entry in listing["samplers"]] == list(SAMPLERS)
    assert [entry["name"] for entry in listing["schedules"]] == list(SCHEDULES)
    assert {"label", "order", "kind", "options", "default_schedule", "paper"} <= set(listing["samplers"][0])


def test_models_without_any(gesso: Run, cache: Path) -> None:
    ended = gesso("models")
    assert (ended.status, ended.out.split(), ended.err) == (0, ["model", "folder"], "")
    assert json.loads(gesso("models", "--json").out) == {"models": []}
    assert not cache.exists()


def test_models_lists_what_the_cache_holds(gesso: Run, cache: Path, tiny_model: Path) -> None:
    kept = cache / "models--somebody--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0123")
    shutil.copytree(tiny_model, kept / "snapshots" / "0123")
    (cache / "models--somebody--broken").mkdir()
    (cache / "datasets--somebody--else").mkdir()
    ended = gesso("models")
    assert ended.out.splitlines()[1:] == [f"somebody/tiny  {kept / 'snapshots' / '0123'}"]
    listing = json.loads(gesso("models", "--json").out)
    assert [model["name"] for model in listing["models"]] == ["somebody/tiny"]

    drawn = gesso("a house", "--model", "somebody/tiny", "--steps", "1", "--output", "a.png")
    assert (drawn.status, drawn.out, drawn.err) == (0, "a.png\n", "")


def test_convert_there_and_back_is_bit_for_bit(gesso: Run, here: Path, tiny_model: Path) -> None:
    assert gesso("convert", tiny_model, "one.safetensors").out == "one.safetensors\n"
    assert gesso("convert", "one.safetensors", "new/tiny/").out == "new/tiny\n"
    assert content(Path("new/tiny")) == content(tiny_model)
    assert gesso("convert", "new/tiny", "two.safetensors").status == 0
    assert Path("two.safetensors").read_bytes() == Path("one.safetensors").read_bytes()

    for model in (tiny_model, "one.safetensors"):
        name = f"{Path(model).name}.png"
        options = ("--engine", "plain", "--steps", "1", "--seed", "7", "--output", name)
        gesso("x", "--model", model, *options)
    with Image.open("tiny.png") as one, Image.open("one.safetensors.png") as other:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_convert_halves_the_precision_when_asked(gesso: Run, tiny_model: Path) -> None:
    gesso("convert", tiny_model, "whole.safetensors")
    gesso("convert", tiny_model, "half.safetensors", "--dtype", "float16")
    assert Path("half.safetensors").stat().st_size < 0.6 * Path("whole.safetensors").stat().st_size
    ended = gesso("a house", "--model", "half.safetensors", "--steps", "1", "--output", "a.png")
    assert (ended.status, ended.err) == (0, "")


def test_convert_refuses_in_one_line(gesso: Run, here: Path, tiny_model: Path) -> None:
    Path("there.safetensors").write_bytes(b"mine")
    for words, message in (
        ((tiny_model, "there.safetensors"), "gesso: there.safetensors: exists already"),
        ((tiny_model, "."), "gesso: .: exists already"),
        ((tiny_model, "model.ckpt"), "gesso: model.ckpt: gesso writes no .ckpt files"),
        (("there.safetensors", "new"), "gesso: there.safetensors: "),
        (("nowhere", "new"), "gesso: nowhere: there is no such file or folder"),
        ((tiny_model, "there.safetensors/new"), "gesso: there.safetensors/new: cannot be written"),
        ((tiny_model, "new", "--ema"), f"gesso: {tiny_model}: is a Diffusers folder, which has no EMA"),
        ((tiny_model, "x" * 300), f"gesso: {'x' * 300}: "),
    ):
        assert gesso("convert", *words).refused().startswith(message)
    assert content(here) == {"there.safetensors": b"mine"}
