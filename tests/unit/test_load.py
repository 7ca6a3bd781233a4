"""``gesso.load``, and the public names of the package."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import gesso
from gesso.config import SD15, STORYBOOK
from gesso.errors import CheckpointError, RequestError, WrongKindError
from gesso.pipeline.load import model_name
from gesso.weights.checkpoint import open_checkpoint
from gesso.weights.infer import known
from gesso.weights.save import convert, save_folder


def test_an_inpainting_model_is_named(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_model)
    wider = {**checkpoint.unet, "conv_in.weight": torch.zeros(16, 9, 3, 3)}
    config = replace(checkpoint.config, unet=replace(checkpoint.config.unet, in_channels=9))
    save_folder(replace(checkpoint, config=config, unet=wider), tmp_path / "filler")
    pipe = gesso.load(tmp_path / "filler")
    with pytest.raises(WrongKindError, match=r"^filler: is a Stable Diffusion 1\.x inpainting model"):
        pipe("house")
    with pytest.raises(WrongKindError, match="inpainting"):
        next(pipe.stream(gesso.GenerationRequest("house")))


def test_a_vocabulary_larger_than_the_text_encoders_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_model)
    embedding = "text_model.embeddings.token_embedding.weight"
    fewer = {**checkpoint.text_encoder, embedding: checkpoint.text_encoder[embedding][:300]}
    config = replace(
        checkpoint.config, text_encoder=replace(checkpoint.config.text_encoder, vocab_size=300)
    )
    save_folder(replace(checkpoint, config=config, text_encoder=fewer), tmp_path / "deaf")
    size = checkpoint.config.text_encoder.vocab_size
    with pytest.raises(CheckpointError, match=f"deaf: the tokenizer has {size} tokens, .* only 300"):
        gesso.load(tmp_path / "deaf")


def test_a_single_file_draws_the_folders_pictures(tiny_model: Path, tmp_path: Path) -> None:
    """With the folder's own vocabulary, which travels in the file; bit by bit with a plain engine."""
    convert(tiny_model, tmp_path / "one.safetensors")
    one, folder = (gesso.load(path, engine="plain") for path in (tmp_path / "one.safetensors", tiny_model))
    assert one.name == "one"
    pictures = [np.asarray(pipe("house", steps=2, seed=7).images[0]) for pipe in (one, folder)]
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"device": "gpu"}, 'device: no device is called "gpu"'),
        ({"device": "cuda:99"}, "device: this machine"),
        ({"dtype": "int8"}, 'dtype: no precision is called "int8"'),
    ],
)
def test_devices_and_precisions_are_checked_first(fields: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        gesso.load("no such model", **fields)


def test_model_names(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_name(tiny_model) == model_name(f"{tiny_model}/") == "tiny"
    (tmp_path / "v1-5.pruned.safetensors").touch()
    assert model_name(tmp_path / "v1-5.pruned.safetensors") == "v1-5.pruned"
    assert model_name("org/name") == "org/name"
    monkeypatch.chdir(tiny_model)
    assert model_name(".") == "tiny"


# The public names


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_gesso_imports_nothing_heavy() -> None:
    code = "import sys, gesso; dir(gesso); gesso.__version__; gesso.GessoError; print(*sys.modules)"
    heavy = {"torch", "numpy", "PIL", "safetensors", "tokenizers", "huggingface_hub", "click", "tqdm"}
    assert not heavy & set(run_python(code).split())


def test_public_names() -> None:
    assert dir(gesso) == sorted(gesso.__all__)
    assert {"load", "GenerationRequest", "Pipeline", "Result", "GessoError"} <= set(dir(gesso))
    for name in gesso.__all__:
        assert getattr(gesso, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        gesso.lode  # noqa: B018


def test_a_model_trained_like_a_preset_is_guided_like_it() -> None:
    """Its latents are scaled by another factor, so it is not the preset itself."""
    mine = replace(
        STORYBOOK,
        name="mine",
        autoencoder=replace(STORYBOOK.autoencoder, scaling_factor=0.3),
        guidance_scale=7.5,
    )
    taught = replace(mine, guidance_scale=STORYBOOK.guidance_scale, sampler=STORYBOOK.sampler)
    assert known(mine) == taught
    other = replace(mine, unet=replace(mine.unet, block_channels=(32, 64)))
    assert known(other) == other
    assert known(replace(SD15, name="mine")) == SD15
