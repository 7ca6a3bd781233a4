"""Checkpoints that are incomplete, damaged, hostile or of another kind: one clear error that names it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gesso.config import AutoencoderConfig, ModelConfig, TextEncoderConfig, UNetConfig
from gesso.errors import CheckpointError, FormatError, KeysError, UnsafePickleError, WrongKindError
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.weights.checkpoint import Checkpoint, build, open_checkpoint
from gesso.weights.kinds import Kind, recognise
from gesso.weights.save import save_file as save_single_file
from gesso.weights.save import save_folder

TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_channels=(8, 16),
        layers_per_block=1,
        attention_levels=(True, True),
        heads=2,
        context_dim=16,
        groups=4,
    ),
    autoencoder=AutoencoderConfig(block_channels=(8, 16), layers_per_block=1, groups=4),
    text_encoder=TextEncoderConfig(vocab_size=300, width=16, layers=1, heads=4, mlp_width=24),
)
UNET_KEY = "model.diffusion_model.middle_block.0.in_layers.2.weight"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound model in either layout."""
    place = tmp_path_factory.mktemp("models")
    checkpoint = Checkpoint(
        path=Path("memory"),
        config=TINY,
        unet=UNet(TINY.unet).state_dict(),
        autoencoder=Autoencoder(TINY.autoencoder).state_dict(),
        text_encoder=TextEncoder(TINY.text_encoder).state_dict(),
    )
    save_folder(checkpoint, place / "tiny")
    save_single_file(checkpoint, place / "tiny.safetensors")
    return place


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals / "tiny", tmp_path / "tiny"))


@pytest.fixture
def tensors(originals: Path) -> dict[str, Tensor]:
    return load_file(originals / "tiny.safetensors")


def edit_json(path: Path, **changes: object) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | changes))


def error_of(source: Path, kind: type[CheckpointError]) -> str:
    with pytest.raises(kind) as caught:
        build(open_checkpoint(source))
    assert str(source) in str(caught.value)
    return str(caught.value)


def test_the_originals_are_sound(originals: Path) -> None:
    build(open_checkpoint(originals / "tiny"))
    build(open_checkpoint(originals / "tiny.safetensors"))


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_missing_unexpected_and_misshapen_tensors_are_named_as_the_file_names_them(
    tmp_path: Path, tensors: dict[str, Tensor], suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    save: Callable[[Any, Path], None] = save_file if suffix == ".safetensors" else torch.save
    del tensors[UNET_KEY]
    tensors["first_stage_model.quant_conv.bias"] = torch.zeros(3)
    tensors["first_stage_model.surprise"] = torch.zeros(3)
    save(tensors, path)
    message = error_of(path, KeysError)
    assert f"1 missing ({UNET_KEY})" in message
    assert "1 unexpected (first_stage_model.surprise)" in message
    assert "first_stage_model.quant_conv.bias is 3 instead of 8" in message


def test_each_missing_tensor_of_a_file_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    """Also those from whose shapes the configuration is told, as no note tells it here."""
    sample = [
        *sorted(tensors)[::150],
        "model.diffusion_model.input_blocks.0.0.weight",
        "model.diffusion_model.input_blocks.1.0.in_layers.2.weight",
        "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight",
        "model.diffusion_model.out.2.weight",
        "first_stage_model.encoder.conv_in.weight",
        "first_stage_model.encoder.down.0.block.0.conv1.weight",
        "first_stage_model.post_quant_conv.weight",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
    ]
    for missing in sample:
        path = tmp_path / "model.safetensors"
        save_file({key: tensor for key, tensor in tensors.items() if key != missing}, path)
        with pytest.raises(KeysError) as caught:
            build(open_checkpoint(path))
        assert missing in str(caught.value)


def test_many_missing_tensors_are_counted(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    kept = {key: tensor for key, tensor in load_file(path).items() if not key.startswith("mid_block.")}
    save_file(kept, path)
    message = error_of(folder, KeysError)
    assert "unet: mid_block" in message
    assert "more)" in message
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (float("nan"), torch.float32),
        (float("inf"), torch.float32),
        (float("-inf"), torch.float16),
        (float("nan"), torch.bfloat16),
    ],
)
def test_values_that_are_not_finite_are_refused(
    tmp_path: Path, tensors: dict[str, Tensor], value: float, dtype: torch.dtype
) -> None:
    tensors[UNET_KEY] = tensors[UNET_KEY].to(dtype)
    tensors[UNET_KEY].view(-1)[7] = value
    save_file(tensors, tmp_path / "model.safetensors")
    message = error_of(tmp_path / "model.safetensors", KeysError)
    assert f"{UNET_KEY} has values that are NaN or infinite" in message


def test_whole_numbers_are_no_weights(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    tensors[UNET_KEY] = tensors[UNET_KEY].to(torch.int8)
    save_file(tensors, tmp_path / "model.safetensors")
    assert f"{UNET_KEY} is torch.int8" in error_of(tmp_path / "model.safetensors", KeysError)


ONE = torch.zeros(1)
OTHER_KINDS: dict[Kind, dict[str, Tensor]] = {
    Kind.LORA: {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 8)},
    Kind.SDXL: {"conditioner.embedders.1.model.logit_scale": ONE, "model.diffusion_model.out.0.bias": ONE},
    Kind.SDXL_REFINER: {"conditioner.embedders.0.model.logit_scale": ONE},
    Kind.SD2: {"cond_stage_model.model.logit_scale": ONE, "first_stage_model.quant_conv.bias": ONE},
    Kind.SD3: {"model.diffusion_model.joint_blocks.0.context_block.attn.proj.bias": ONE},
    Kind.FLUX: {"double_blocks.0.img_attn.norm.key_norm.scale": ONE},
    Kind.CONTROLNET: {"control_model.time_embed.0.weight": ONE},
    Kind.EMBEDDING: {"emb_params": torch.zeros(2, 768)},
    Kind.HYPERNETWORK: {"768.0.linear.0.weight": ONE},
    Kind.MOTION: {"down_blocks.0.motion_modules.0.temporal_transformer.norm.bias": ONE},
    Kind.IMAGE_UPSCALER: {
        "model.1.sub.0.RDB1.conv1.0.weight": ONE,
        "model.0.weight": ONE,
        "model.3.bias": ONE,
    },
    Kind.AUTOENCODER: {"encoder.down.0.block.0.conv1.weight": ONE, "decoder.conv_in.bias": ONE, "x": ONE},
    Kind.UNET: {"down_blocks.0.resnets.0.conv1.weight": ONE, "time_embedding.linear_1.bias": ONE, "x": ONE},
    Kind.TEXT_ENCODER: {"text_model.final_layer_norm.bias": ONE, "text_model.a": ONE, "text_model.b": ONE},
    Kind.UNKNOWN: {"fc.weight": ONE, "fc.bias": ONE, "conv.weight": ONE},
}


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_other_kinds_are_named(tmp_path: Path, kind: Kind, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    save: Callable[[Any, Path], None] = save_file if suffix == ".safetensors" else torch.save
    save({key: tensor.clone() for key, tensor in OTHER_KINDS[kind].items()}, path)
    assert f"is {kind}" in error_of(path, WrongKindError)


def test_an_embedding_as_trainers_save_it_is_named(tmp_path: Path) -> None:
    torch.save(
        {"string_to_param": {"*": torch.zeros(2, 768)}, "name": "cat", "step": 3}, tmp_path / "cat.pt"
    )
    assert "textual-inversion" in error_of(tmp_path / "cat.pt", WrongKindError)
    parameters = torch.nn.ParameterDict({"*": torch.zeros(2, 768)})
    torch.save({"string_to_param": parameters, "string_to_token": {"*": 265}}, tmp_path / "old.pt")
    assert "textual-inversion" in error_of(tmp_path / "old.pt", WrongKindError)
    torch.save({"<cat>": torch.zeros(768)}, tmp_path / "cat.bin")
    assert "textual-inversion" in error_of(tmp_path / "cat.bin", WrongKindError)


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("first_stage_model.", Kind.NO_AUTOENCODER),
        ("cond_stage_model.", Kind.NO_TEXT_ENCODER),
        ("model.diffusion_model.", Kind.AUTOENCODER),
    ],
)
def test_a_missing_network_is_named(tensors: dict[str, Tensor], prefix: str, kind: Kind) -> None:
    assert recognise({key: t for key, t in tensors.items() if not key.startswith(prefix)}) == kind


@pytest.mark.parametrize(
    ("channels", "kind"),
    [(4, Kind.SD1), (9, Kind.SD1_INPAINTING), (8, Kind.PIX2PIX), (5, Kind.DEPTH), (7, Kind.UPSCALER)],
)
def test_the_inputs_of_the_unet_tell_kinds_apart(
    tensors: dict[str, Tensor], channels: int, kind: Kind
) -> None:
    tensors["model.diffusion_model.input_blocks.0.0.weight"] = torch.zeros(8, channels, 3, 3)
    assert recognise(tensors) == kind


def test_linear_projections_mean_sd2(tensors: dict[str, Tensor]) -> None:
    tensors["model.diffusion_model.middle_block.1.proj_in.weight"] = torch.zeros(16, 16)
    assert recognise(tensors) == Kind.SD2


FOLDER_CHANGES: dict[str, tuple[str, dict[str, object], str]] = {
    "SDXL": ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "is an SDXL model"),
    "SD3": (
        "model_index.json",
        {"_class_name": "StableDiffusion3Pipeline"},
        "is a Stable Diffusion 3 model",
    ),
    "SD 2": (
        "unet/config.json",
        {"use_linear_projection": True, "cross_attention_dim": 1024},
        "is a Stable Diffusion 2.x model",
    ),
    "pix2pix": ("unet/config.json", {"in_channels": 8}, "is an InstructPix2Pix model"),
    "consistency": ("unet/config.json", {"time_cond_proj_dim": 256}, "time_cond_proj_dim is 256"),
    "other heads": ("unet/config.json", {"attention_head_dim": [5, 10]}, "attention_head_dim is [5, 10]"),
    "other blocks": ("unet/config.json", {"up_block_types": ["UpBlock2D", "UpBlock2D"]}, "up_block_types"),
    "another network": ("vae/config.json", {"_class_name": "AutoencoderTiny"}, '"AutoencoderTiny"'),
    "activation": ("text_encoder/config.json", {"hidden_act": "relu"}, 'hidden_act is "relu"'),
    "prediction": ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, 'is "sample"'),
}


@pytest.mark.parametrize("name", FOLDER_CHANGES)
def test_folders_of_other_kinds_are_named(folder: Path, name: str) -> None:
    file, changes, message = FOLDER_CHANGES[name]
    edit_json(folder / file, **changes)
    assert message in error_of(folder, WrongKindError)


SENSELESS: dict[str, tuple[str, dict[str, object], str]] = {
    "forever": ("unet/config.json", {"layers_per_block": 10**9}, "layers_per_block is 1000000000"),
    "zero": ("unet/config.json", {"in_channels": 0}, "in_channels is 0"),
    "text": ("unet/config.json", {"norm_num_groups": "32"}, 'norm_num_groups is "32"'),
    "true": ("unet/config.json", {"norm_num_groups": True}, "norm_num_groups is true"),
    "groups": ("unet/config.json", {"norm_num_groups": 3}, "does not divide"),
    "heads": ("text_encoder/config.json", {"num_attention_heads": 5}, "does not divide"),
    "no list": ("vae/config.json", {"block_out_channels": 8}, "block_out_channels is 8"),
    "no levels": ("vae/config.json", {"block_out_channels": []}, "block_out_channels is []"),
    "not a number": ("vae/config.json", {"scaling_factor": float("nan")}, "scaling_factor is NaN"),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_senseless_settings_are_named(folder: Path, name: str) -> None:
    file, changes, message = SENSELESS[name]
    edit_json(folder / file, **changes)
    text = error_of(folder, FormatError)
    assert message in text
    assert file in text


def test_a_configuration_that_does_not_fit_its_weights_is_refused(folder: Path) -> None:
    edit_json(folder / "unet" / "config.json", cross_attention_dim=24)
    assert "attn2.to_k.weight is 8×16 instead of 8×24" in error_of(folder, KeysError)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "version https://git-lfs.github.com/spec/v1\n", "[" * 9999]
)
def test_damaged_json_is_named(folder: Path, content: str) -> None:
    (folder / "vae" / "config.json").write_text(content)
    assert str(folder / "vae" / "config.json") in error_of(folder, FormatError)


@pytest.mark.parametrize("missing", ["unet", "vae", "text_encoder"])
def test_missing_folders_and_files_are_named(folder: Path, missing: str) -> None:
    weights = next((folder / missing).glob("*.safetensors"))
    weights.unlink()
    assert "has no weights file" in error_of(folder, FormatError)
    (folder / missing / "config.json").unlink()
    assert "config.json: there is no such file" in error_of(folder, FormatError)
    (folder / missing).rmdir()
    assert f"has no folder {missing}" in error_of(folder, FormatError)


def test_a_folder_with_a_single_file_in_it_says_so(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, tmp_path / "v1-5.safetensors")
    assert "Did you mean the file v1-5.safetensors in it?" in error_of(tmp_path, FormatError)


@pytest.mark.parametrize(
    ("part", "kind"), [("unet", Kind.UNET), ("vae", Kind.AUTOENCODER), ("text_encoder", Kind.TEXT_ENCODER)]
)
def test_a_network_of_a_folder_is_named(folder: Path, part: str, kind: Kind) -> None:
    assert str(kind) in error_of(folder / part, WrongKindError)
    assert str(kind) in error_of(next((folder / part).glob("*.safetensors")), WrongKindError)


def test_a_variant_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(FormatError, match="of variant 'fp16'"):
        open_checkpoint(folder, variant="fp16")


@pytest.mark.parametrize("name", ["../../secret.safetensors", "/etc/passwd", "a/b", "a\\b", ".."])
def test_an_index_cannot_point_out_of_its_folder(folder: Path, name: str) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(folder / "secret.safetensors")
    index = {"weight_map": {"conv_in.weight": name}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert "points out of its folder" in error_of(folder, FormatError)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    index = {"weight_map": {"conv_in.weight": "part-1.safetensors"}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert "part-1.safetensors: there is no such file" in error_of(folder, FormatError)


def test_an_lfs_pointer_in_a_folder_is_named(folder: Path) -> None:
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 334643276\n")
    message = error_of(folder, FormatError)
    assert "git-LFS pointer to a file of 334,643,276 bytes" in message
    assert str(file) in message


class Canary:
    def __init__(self, egg: Path) -> None:
        self.egg = egg

    def __reduce__(self):
        return os.mkdir, (str(self.egg),)


@pytest.mark.parametrize(
    "place",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.bin",
        "vae/diffusion_pytorch_model.bin",
        "text_encoder/pytorch_model.bin",
        "text_encoder/model.safetensors",
        "unet/shard-1.bin",
        "model.ckpt",
        "model.safetensors",
        "model.pt",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_no_place_of_a_checkpoint_runs_a_pickle(folder: Path, place: str, zipped: bool) -> None:
    egg, path = folder / "egg", folder / place
    if "/" in place:
        for weights in path.parent.glob("*.safetensors"):
            weights.unlink()
    torch.save(
        {"conv_in.weight": torch.zeros(1), "x": Canary(egg)}, path, _use_new_zipfile_serialization=zipped
    )
    if "shard" in place:
        index = {"weight_map": {"conv_in.weight": path.name}}
        (folder / "unet" / "diffusion_pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(UnsafePickleError, match=r"posix\.mkdir|nt\.mkdir"):
        open_checkpoint(folder if "/" in place else path)
    assert not egg.exists()


@pytest.mark.parametrize("note", ["{", "[]", "null", '{"unet/config.json": 3}', "[" * 9999])
def test_a_damaged_note_in_a_file_is_refused(tmp_path: Path, tensors: dict[str, Tensor], note: str) -> None:
    save_file(tensors, tmp_path / "model.safetensors", {"gesso.config": note})
    error_of(tmp_path / "model.safetensors", FormatError)


def test_names_that_are_nothing_here_are_refused(tmp_path: Path, originals: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Did you mean .*tiny\.safetensors"):
        open_checkpoint(originals / "tony.safetensors")
    with pytest.raises(CheckpointError, match="no folder"):
        open_checkpoint(tmp_path / "nowhere" / "model.ckpt")
    with pytest.raises(CheckpointError, match="without weights"):
        open_checkpoint("sd15")
    for name in ("a" * 5000, "nul\0", "~nobody-of-that-name/model"):
        with pytest.raises(CheckpointError):
            open_checkpoint(name)
