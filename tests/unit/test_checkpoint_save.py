"""Checkpoints that gesso writes: both layouts, bit for bit, whole or not at all."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gesso.config import (
    SD15,
    SD15_INPAINT,
    STORYBOOK,
    AutoencoderConfig,
    ModelConfig,
    NoiseScheduleConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.errors import CheckpointError, KeysError, OutputError
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.weights.checkpoint import PARTS, Checkpoint, build, open_checkpoint
from gesso.weights.folder_config import read_note
from gesso.weights.folder_json import config_note
from gesso.weights.save import convert, save_folder
from gesso.weights.save import save_file as save_ldm_file

TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_channels=(8, 16),
        layers_per_block=1,
        attention_levels=(False, True),
        heads=2,
        context_dim=16,
        groups=4,
        sample_size=8,
    ),
    autoencoder=AutoencoderConfig(
        block_channels=(8, 16), layers_per_block=1, groups=4, scaling_factor=0.25
    ),
    text_encoder=TextEncoderConfig(
        vocab_size=300, width=16, layers=2, heads=4, mlp_width=24, activation="gelu"
    ),
    noise=NoiseScheduleConfig(prediction="v", beta_schedule="linear"),
)


def random_checkpoint(config: ModelConfig = TINY, tokenizer: Path | None = None) -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(
        path=Path("memory"),
        config=config,
        unet=UNet(config.unet).state_dict(),
        autoencoder=Autoencoder(config.autoencoder).state_dict(),
        text_encoder=TextEncoder(config.text_encoder).state_dict(),
        tokenizer=tokenizer,
    )


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({"a</w>": 0, "ñ</w>": 1}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


def assert_same_weights(one: Checkpoint, other: Checkpoint) -> None:
    for part in PARTS:
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.keys() == theirs.keys()
        for key, tensor in mine.items():
            assert tensor.dtype == theirs[key].dtype
            assert torch.equal(tensor, theirs[key]), key


def test_folder_to_file_to_folder_is_bit_for_bit(tmp_path: Path, tokenizer: Path) -> None:
    original = random_checkpoint(tokenizer=tokenizer)
    save_folder(original, tmp_path / "tiny")
    convert(tmp_path / "tiny", tmp_path / "tiny.safetensors")
    convert(tmp_path / "tiny.safetensors", tmp_path / "again" / "tiny")
    for path in ("tiny", "tiny.safetensors", "again/tiny"):
        opened = open_checkpoint(tmp_path / path)
        assert_same_weights(opened, original)
        assert opened.config == TINY
        assert opened.tokenizer
        assert (opened.tokenizer / "vocab.json").read_bytes() == (tokenizer / "vocab.json").read_bytes()
    for file in (tmp_path / "tiny").rglob("*.*"):
        again = tmp_path / "again" / "tiny" / file.relative_to(tmp_path / "tiny")
        assert again.read_bytes() == file.read_bytes(), file


def test_file_to_folder_to_file_is_byte_for_byte(tmp_path: Path) -> None:
    save_ldm_file(random_checkpoint(), tmp_path / "tiny.safetensors")
    convert(tmp_path / "tiny.safetensors", tmp_path / "folder")
    convert(tmp_path / "folder", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "tiny.safetensors").read_bytes()


def test_mixed_precisions_are_kept_and_one_can_be_asked_for(tmp_path: Path) -> None:
    original = random_checkpoint()
    half = {key: tensor.half() for key, tensor in original.unet.items()}
    original = replace(original, unet=half)
    save_ldm_file(original, tmp_path / "mixed.safetensors")
    assert_same_weights(open_checkpoint(tmp_path / "mixed.safetensors"), original)
    convert(tmp_path / "mixed.safetensors", tmp_path / "half.safetensors", dtype=torch.float16)
    assert {t.dtype for t in load_file(tmp_path / "half.safetensors").values()} == {torch.float16}


def test_eight_bit_floats_are_read_and_kept(tmp_path: Path) -> None:
    small = {key: tensor.to(torch.float8_e4m3fn) for key, tensor in random_checkpoint().unet.items()}
    save_ldm_file(replace(random_checkpoint(), unet=small), tmp_path / "small.safetensors")
    models = build(open_checkpoint(tmp_path / "small.safetensors"), torch.float32)
    assert torch.equal(models.unet.conv_in.weight, small["conv_in.weight"].float())
    convert(tmp_path / "small.safetensors", tmp_path / "small")
    assert open_checkpoint(tmp_path / "small").unet["conv_in.weight"].dtype == torch.float8_e4m3fn


def test_an_unpacked_vocabulary_lasts_as_long_as_its_checkpoint(tmp_path: Path, tokenizer: Path) -> None:
    save_ldm_file(random_checkpoint(tokenizer=tokenizer), tmp_path / "tiny.safetensors")
    opened = open_checkpoint(tmp_path / "tiny.safetensors")
    folder = opened.tokenizer
    assert folder
    assert folder.is_dir()
    del opened
    assert not folder.exists()


def test_clips_own_vocabulary_is_not_carried_but_written_to_folders(tmp_path: Path) -> None:
    save_folder(random_checkpoint(), tmp_path / "tiny")
    written = {path.name for path in (tmp_path / "tiny" / "tokenizer").iterdir()}
    assert written >= {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"}
    convert(tmp_path / "tiny", tmp_path / "tiny.safetensors")
    assert open_checkpoint(tmp_path / "tiny.safetensors").tokenizer is None


@pytest.mark.parametrize("config", [SD15, SD15_INPAINT, STORYBOOK, TINY], ids=lambda config: config.name)
def test_configurations_survive_their_json(config: ModelConfig) -> None:
    assert read_note(config_note(config), Path("tiny.safetensors")) == config


def test_building_moves_nothing_and_freezes(tmp_path: Path) -> None:
    save_folder(random_checkpoint(), tmp_path / "tiny")
    checkpoint = open_checkpoint(tmp_path / "tiny")
    models = build(checkpoint)
    for part in PARTS:
        network = getattr(models, part)
        assert not network.training
        for key, parameter in network.named_parameters():
            assert parameter.data_ptr() == getattr(checkpoint, part)[key].data_ptr()
            assert not parameter.requires_grad
    assert {p.dtype for p in build(checkpoint, torch.bfloat16).unet.parameters()} == {torch.bfloat16}


def test_ema_weights_are_taken_when_asked_for(tmp_path: Path) -> None:
    original = random_checkpoint()
    path = tmp_path / "full.ckpt"
    save_ldm_file(original, tmp_path / "tiny.safetensors")
    tensors = load_file(tmp_path / "tiny.safetensors")
    unet = [key for key in tensors if key.startswith("model.diffusion_model.")]
    averaged = {
        "model_ema." + key.removeprefix("model.").replace(".", ""): tensors[key] + 1 for key in unet
    }
    extra = {"model_ema.decay": torch.tensor(0.99), "betas": torch.ones(3), "loss.logvar": torch.ones(1)}
    extra["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    torch.save({"state_dict": tensors | averaged | extra, "global_step": 7}, path)

    plain, ema = open_checkpoint(path), open_checkpoint(path, ema=True)
    assert not plain.unknown
    for key, tensor in original.unet.items():
        assert torch.equal(plain.unet[key], tensor)
        assert torch.equal(ema.unet[key], tensor + 1)
    assert torch.equal(ema.autoencoder["quant_conv.bias"], original.autoencoder["quant_conv.bias"])

    for source in ("tiny.safetensors", "folder"):
        if source == "folder":
            save_folder(original, tmp_path / "folder")
        with pytest.raises(CheckpointError, match="EMA"):
            open_checkpoint(tmp_path / source, ema=True)


def test_early_text_encoder_names_are_read(tmp_path: Path) -> None:
    original = random_checkpoint()
    save_ldm_file(original, tmp_path / "tiny.safetensors")
    old = {
        key.replace("transformer.text_model.", "transformer."): tensor
        for key, tensor in load_file(tmp_path / "tiny.safetensors").items()
    }
    save_file(old, tmp_path / "old.safetensors")
    opened = open_checkpoint(tmp_path / "old.safetensors")
    assert opened.text_encoder.keys() == original.text_encoder.keys()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    save_folder(random_checkpoint(), tmp_path / "tiny")
    (tmp_path / "there.safetensors").write_text("mine")
    (tmp_path / "there").mkdir()
    for target in ("there.safetensors", "there", "tiny"):
        with pytest.raises(OutputError, match="exists already"):
            convert(tmp_path / "tiny", tmp_path / target)
    assert (tmp_path / "there.safetensors").read_text() == "mine"


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
def test_no_pickles_are_written(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(OutputError, match="can carry code"):
        convert(tmp_path / "tiny", tmp_path / f"tiny{suffix}")


@pytest.mark.parametrize("target", ["copy.safetensors", "copy"])
def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_folder(random_checkpoint(), tmp_path / "tiny")
    before = set(tmp_path.rglob("*"))

    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gesso.weights.atomic.flush", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "tiny", tmp_path / target)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit on the size of files")
@pytest.mark.parametrize("target", ["copy.safetensors", "copy"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, target: str) -> None:
    save_folder(random_checkpoint(), tmp_path / "tiny")
    before = set(tmp_path.rglob("*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            convert(tmp_path / "tiny", tmp_path / target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(tmp_path.rglob("*")) == before


def test_a_target_inside_of_a_file_is_refused(tmp_path: Path) -> None:
    save_folder(random_checkpoint(), tmp_path / "tiny")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        convert(tmp_path / "tiny", tmp_path / "file" / "copy.safetensors")


def test_an_incomplete_source_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    broken = random_checkpoint()
    del broken.unet["conv_out.bias"]
    save_folder(broken, tmp_path / "tiny")
    with pytest.raises(KeysError, match=r"conv_out\.bias"):
        convert(tmp_path / "tiny", tmp_path / "copy.safetensors")
    assert not (tmp_path / "copy.safetensors").exists()
