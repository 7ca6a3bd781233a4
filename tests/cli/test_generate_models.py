"""``gesso --model``: what is no Stable Diffusion 1.x model is refused in one line, and none of it runs."""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gesso.weights.checkpoint import open_checkpoint
from gesso.weights.save import convert, save_folder

Run = Callable[..., Any]
SUFFIXES = (".ckpt", ".safetensors", ".pt", ".bin", "")
UNET_BIAS = "model.diffusion_model.out.2.bias"


@pytest.fixture(scope="module")
def single_file(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(tiny_model, tmp_path_factory.mktemp("single") / "tiny.safetensors")


class Canary:
    """Touches a file if it is ever unpickled for real."""

    def __init__(self, egg: Path) -> None:
        self.egg = egg

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.egg}",)


def refusal(gesso: Run, here: Path, model: Path | str) -> str:
    """The line with which a model is refused, and nothing is written."""
    before = set(here.rglob("*"))
    line = gesso("a house", "--model", model, "--seed", "7", "--steps", "1").refused()
    assert set(here.rglob("*")) == before
    return line.removeprefix("gesso: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "model.ckpt: there is no such file or folder"),
        (b"", "model.ckpt: is empty (0 bytes)"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "model.ckpt: is a web page saved under this name"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4265380512\n",
            "model.ckpt: is a git-LFS pointer to a file of 4,265,380,512 bytes",
        ),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "model.ckpt: is a PNG picture"),
        (bytes(5000), "model.ckpt: begins with nothing but zeros"),
        (b"hello", "model.ckpt: is not a weights file"),
    ],
    ids=["missing", "empty", "html", "lfs", "png", "zeros", "text"],
)
def test_what_is_no_model(gesso: Run, here: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        Path("model.ckpt").write_bytes(content)
    assert refusal(gesso, here, "model.ckpt").startswith(message)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_truncated_file(gesso: Run, here: Path, single_file: Path, share: float) -> None:
    whole = single_file.read_bytes()
    Path("cut.safetensors").write_bytes(whole[: int(len(whole) * share)])
    assert refusal(gesso, here, "cut.safetensors").startswith("cut.safetensors: is cut off")


def test_a_truncated_pickle(gesso: Run, here: Path, single_file: Path) -> None:
    torch.save(load_file(single_file), "whole.ckpt")
    whole = Path("whole.ckpt").read_bytes()
    for end in (100, len(whole) // 2, len(whole) - 10):
        Path("cut.ckpt").write_bytes(whole[:end])
        assert refusal(gesso, here, "cut.ckpt").startswith("cut.ckpt: ")


def test_a_truncated_folder(gesso: Run, here: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, "cut")
    weights = Path("cut/unet/diffusion_pytorch_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert refusal(gesso, here, "cut").startswith(f"{weights}: is cut off: 1,000 of")
    weights.unlink()
    assert refusal(gesso, here, "cut").startswith("cut/unet: has no weights file")
    shutil.rmtree("cut/unet")
    assert refusal(gesso, here, "cut").startswith("cut: is not a Diffusers folder of a whole model")
    Path("cut/model_index.json").write_text("{")
    assert refusal(gesso, here, "cut").startswith("cut/model_index.json: ")


def test_an_empty_folder(gesso: Run, here: Path) -> None:
    Path("empty").mkdir()
    assert refusal(gesso, here, "empty").startswith("empty: is not a Diffusers folder")
    assert refusal(gesso, here, "").startswith(".: is not a Diffusers folder")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("saved", ["pickle", "torch", "torch legacy"])
def test_a_pickle_that_calls_something(gesso: Run, here: Path, suffix: str, saved: str) -> None:
    egg, model = here.with_name("egg"), f"model{suffix}"
    content = {"state_dict": {UNET_BIAS: torch.zeros(4)}, "callbacks": Canary(egg)}
    if saved == "pickle":
        Path(model).write_bytes(pickle.dumps(Canary(egg)))
    else:
        torch.save(content, model, _use_new_zipfile_serialization=saved == "torch")
    line = refusal(gesso, here, model)
    assert line.startswith(f"{model}: ")
    assert "posix.system" in line
    assert "nothing of it was run" in line
    assert not egg.exists()


def test_a_pickle_in_a_folder(gesso: Run, here: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, "model")
    egg = here.with_name("egg")
    Path("model/vae/diffusion_pytorch_model.safetensors").unlink()
    torch.save({"w": Canary(egg)}, "model/vae/diffusion_pytorch_model.bin")
    line = refusal(gesso, here, "model")
    assert line.startswith("model/vae/diffusion_pytorch_model.bin: ")
    assert not egg.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_no_library_warns_besides(gesso: Run, here: Path, protocol: int) -> None:
    """Warnings would be further lines on stderr."""
    egg = here.with_name("egg")
    Path("model.ckpt").write_bytes(pickle.dumps({"state_dict": Canary(egg)}, protocol))
    with warnings.catch_warnings(record=True, action="always") as warned:
        refusal(gesso, here, "model.ckpt")
    assert not warned
    assert not egg.exists()


def test_models_of_other_kinds_are_named(gesso: Run, here: Path, tiny_model: Path) -> None:
    save_file(
        {"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(4, 4)}, "l.safetensors"
    )
    assert "is a LoRA" in refusal(gesso, here, "l.safetensors")
    assert "autoencoder" in refusal(gesso, here, tiny_model / "vae")

    checkpoint = open_checkpoint(tiny_model)
    config = replace(checkpoint.config, unet=replace(checkpoint.config.unet, in_channels=9))
    wider = {**checkpoint.unet, "conv_in.weight": torch.zeros(16, 9, 3, 3)}
    save_folder(replace(checkpoint, config=config, unet=wider), Path("filler"))
    assert "filler: is a Stable Diffusion 1.x inpainting model" in refusal(gesso, here, "filler")


def test_tensors_that_are_missing_or_too_many_or_no_numbers(
    gesso: Run, here: Path, single_file: Path
) -> None:
    tensors = load_file(single_file)
    fewer = {name: tensor for name, tensor in tensors.items() if name != UNET_BIAS}
    nan = torch.full_like(tensors[UNET_BIAS], float("nan"))
    for changed, message in (
        (fewer, f"1 missing ({UNET_BIAS})"),
        ({**tensors, "model.diffusion_model.odd": nan}, "1 unexpected (model.diffusion_model.odd)"),
        ({**tensors, UNET_BIAS: nan[:2].contiguous()}, f"{UNET_BIAS} is 2 instead of 4"),
        ({**tensors, UNET_BIAS: nan}, f"tensor {UNET_BIAS} has values that are NaN or infinite"),
    ):
        save_file(changed, "m.safetensors", metadata=note_of(single_file))
        line = refusal(gesso, here, "m.safetensors")
        assert line.startswith("m.safetensors: ")
        assert message in line


def note_of(path: Path) -> dict[str, str]:
    from gesso.weights.files import read_metadata

    return read_metadata(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sd15", "sd15: is the name of an architecture, without weights"),
        ("nobody/nothing", "nobody/nothing: "),
        (
            "tony.safetensors",
            "tony.safetensors: there is no such file or folder. Did you mean tiny.safetensors?",
        ),
        ("x" * 300, f"{'x' * 300}: cannot be looked up (File name too long)"),
        (
            "~no.such.user/model",
            "~no.such.user/model: cannot be looked up (Could not determine home directory)",
        ),
        ("a/b/c", "a/b/c: there is no such file or folder. There is no folder a/b either."),
    ],
    ids=["preset", "hub", "typo", "too long", "home", "no folder"],
)
def test_names_of_no_model(
    gesso: Run, here: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(here.with_name("cache")))
    Path("tiny.safetensors").touch()
    assert refusal(gesso, here, name).startswith(message)
