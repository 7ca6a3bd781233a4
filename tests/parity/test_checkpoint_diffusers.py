"""Checkpoints against Diffusers: what it saves, gesso loads; what gesso saves, it loads. Bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from gesso.config import SD15, SD15_INPAINT, ModelConfig
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.weights.checkpoint import Checkpoint, build, open_checkpoint
from gesso.weights.meta import on_meta
from gesso.weights.save import convert, save_file, save_folder
from gesso.weights.tokenizer_files import CLIP_FOLDER

SIZES = {
    "two levels": {
        "unet": {
            "block_out_channels": (32, 64),
            "layers_per_block": 2,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": 32,
            "attention_head_dim": 4,
            "sample_size": 8,
        },
        "vae": {"block_out_channels": (32, 64), "layers_per_block": 1},
        "text_encoder": {"num_hidden_layers": 2},
        "scheduler": {"prediction_type": "epsilon"},
    },
    "three levels, inpainting, v": {
        "unet": {
            "in_channels": 9,
            "block_out_channels": (8, 16, 24),
            "layers_per_block": 1,
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"),
            "cross_attention_dim": 32,
            "attention_head_dim": 2,
            "norm_num_groups": 4,
            "sample_size": 16,
        },
        "vae": {
            "block_out_channels": (8, 16, 16),
            "layers_per_block": 2,
            "norm_num_groups": 4,
            "scaling_factor": 0.3,
        },
        "text_encoder": {"num_hidden_layers": 1, "hidden_act": "gelu"},
        "scheduler": {"prediction_type": "v_prediction"},
    },
}


@pytest.fixture(scope="module", params=SIZES)
def pipeline(request: pytest.FixtureRequest) -> StableDiffusionPipeline:
    """A pipeline of Diffusers' own classes with random weights."""
    size: dict[str, dict[str, Any]] = SIZES[request.param]
    levels = len(size["vae"]["block_out_channels"])
    torch.manual_seed(0)
    return StableDiffusionPipeline(
        unet=UNet2DConditionModel(**size["unet"]),
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            **size["vae"],
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                hidden_size=32, intermediate_size=37, num_attention_heads=4, **size["text_encoder"]
            )
        ),
        tokenizer=CLIPTokenizer(str(CLIP_FOLDER / "vocab.json"), str(CLIP_FOLDER / "merges.txt")),
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
            **size["scheduler"],
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers 5 leaves out the text encoder's outer module, earlier versions do not."""
    return {
        key.removeprefix("text_model."): tensor
        for key, tensor in tensors.items()
        if not key.endswith("position_ids")
    }


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype
        assert torch.equal(ours[key], tensor), key


def assert_holds(checkpoint: Checkpoint, pipe: StableDiffusionPipeline) -> None:
    assert_same(checkpoint.unet, pipe.unet.state_dict())
    assert_same(checkpoint.autoencoder, pipe.vae.state_dict())
    assert_same(without_prefix(checkpoint.text_encoder), without_prefix(pipe.text_encoder.state_dict()))
    assert all(key.startswith("text_model.") for key in checkpoint.text_encoder)
    build(checkpoint)


def pickle_weights(pipe: StableDiffusionPipeline, folder: Path) -> None:
    """As folders were before safetensors: transformers 5 no longer writes them itself."""
    pipe.save_pretrained(folder)
    for name, stem in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model")):
        (folder / name / f"{stem}.safetensors").unlink()
        torch.save(getattr(pipe, name).state_dict(), folder / name / f"{stem}.bin")
    (folder / "text_encoder" / "model.safetensors").unlink()
    published = {
        f"text_model.{key}": value for key, value in without_prefix(pipe.text_encoder.state_dict()).items()
    }
    published["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    torch.save(
        published, folder / "text_encoder" / "pytorch_model.bin", _use_new_zipfile_serialization=False
    )


def old_attention_names(pipe: StableDiffusionPipeline, folder: Path) -> None:
    """As folders were before Diffusers 0.12."""
    pipe.save_pretrained(folder)
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for key, tensor in pipe.vae.state_dict().items():
        for new, name in names.items():
            key = key.replace(f".{new}.", f".{name}.")
        old[key] = tensor
    torch.save(old, folder / "vae" / "diffusion_pytorch_model.bin")


WAYS: dict[str, Callable[[StableDiffusionPipeline, Path], None]] = {
    "safetensors": lambda pipe, folder: pipe.save_pretrained(folder),
    "fp16 variant": lambda pipe, folder: pipe.save_pretrained(folder, variant="fp16"),
    "shards": lambda pipe, folder: pipe.save_pretrained(folder, max_shard_size="100KB"),
    "shards of a variant": lambda pipe, folder: pipe.save_pretrained(
        folder, max_shard_size="100KB", variant="fp16"
    ),
    "pickles": pickle_weights,
    "old names": old_attention_names,
}


@pytest.mark.parametrize("way", WAYS)
def test_gesso_loads_what_diffusers_saves(
    pipeline: StableDiffusionPipeline, tmp_path: Path, way: str
) -> None:
    WAYS[way](pipeline, tmp_path / "model")
    if "shards" in way:
        assert len(list((tmp_path / "model" / "unet").glob("*-of-*"))) > 1
    checkpoint = open_checkpoint(tmp_path / "model")
    assert_holds(checkpoint, pipeline)
    config = checkpoint.config
    assert config.unet.heads == pipeline.unet.config.attention_head_dim
    assert config.autoencoder.scaling_factor == pipeline.vae.config.scaling_factor
    assert config.text_encoder.activation == pipeline.text_encoder.config.hidden_act
    assert config.noise.prediction == pipeline.scheduler.config.prediction_type.removesuffix("_prediction")
    assert config.inpainting == (pipeline.unet.config.in_channels == 9)


def test_full_precision_comes_before_half(pipeline: StableDiffusionPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    half = {key: tensor.half() for key, tensor in pipeline.unet.state_dict().items()}
    torch.save(half, tmp_path / "model" / "unet" / "diffusion_pytorch_model.fp16.bin")
    torch.save(half, tmp_path / "model" / "unet" / "diffusion_pytorch_model.bin")
    assert_same(open_checkpoint(tmp_path / "model").unet, pipeline.unet.state_dict())


@pytest.fixture
def saved(pipeline: StableDiffusionPipeline, tmp_path: Path) -> Path:
    """The same model, through gesso, as a folder and as a single file."""
    pipeline.save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "model.safetensors")
    convert(tmp_path / "model.safetensors", tmp_path / "model")
    return tmp_path


def test_diffusers_loads_gessos_folder(pipeline: StableDiffusionPipeline, saved: Path) -> None:
    loaded = StableDiffusionPipeline.from_pretrained(saved / "model")
    assert_same(loaded.unet.state_dict(), pipeline.unet.state_dict())
    assert_same(loaded.vae.state_dict(), pipeline.vae.state_dict())
    assert_same(
        without_prefix(loaded.text_encoder.state_dict()), without_prefix(pipeline.text_encoder.state_dict())
    )
    assert loaded.tokenizer("A cat, ünïcode!").input_ids == pipeline.tokenizer("A cat, ünïcode!").input_ids
    assert loaded.scheduler.config.prediction_type == pipeline.scheduler.config.prediction_type
    assert torch.equal(loaded.scheduler.alphas_cumprod, pipeline.scheduler.alphas_cumprod)
    tokens = torch.arange(77)[None]
    assert torch.equal(loaded.text_encoder(tokens)[0], pipeline.text_encoder.eval()(tokens)[0])


def test_diffusers_loads_gessos_single_file(pipeline: StableDiffusionPipeline, saved: Path) -> None:
    loaded = StableDiffusionPipeline.from_single_file(
        str(saved / "model.safetensors"), config=str(saved / "model"), local_files_only=True
    )
    assert_same(loaded.unet.state_dict(), pipeline.unet.state_dict())
    assert_same(loaded.vae.state_dict(), pipeline.vae.state_dict())
    assert_same(
        without_prefix(loaded.text_encoder.state_dict()), without_prefix(pipeline.text_encoder.state_dict())
    )


@pytest.mark.parametrize("config", [SD15, SD15_INPAINT], ids=lambda config: config.name)
def test_every_name_of_sd15_is_diffusers_name(config: ModelConfig, tmp_path: Path) -> None:
    """Each tensor, recognisable by a number in it, arrives where Diffusers' own conversion puts it."""
    sizes = full_size(config)
    numbered = {
        part: {key: torch.tensor([float(n)]) for n, key in enumerate(network.state_dict())}
        for part, network in sizes.items()
    }
    checkpoint = Checkpoint(path=tmp_path, config=config, **numbered)
    save_file(checkpoint, tmp_path / "numbers.safetensors")
    file = load_file(tmp_path / "numbers.safetensors")
    theirs = {
        "unet": convert_ldm_unet_checkpoint(dict(file), {"layers_per_block": 2}),
        "autoencoder": convert_ldm_vae_checkpoint(
            dict(file), {"down_block_types": [""] * 4, "up_block_types": [""] * 4}
        ),
        "text_encoder": convert_ldm_clip_checkpoint(dict(file)),
    }
    for part, tensors in theirs.items():
        assert_same(numbered[part], tensors)


def full_size(config: ModelConfig) -> dict[str, nn.Module]:
    with on_meta():
        return {
            "unet": UNet(config.unet),
            "autoencoder": Autoencoder(config.autoencoder),
            "text_encoder": TextEncoder(config.text_encoder),
        }


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not outlive the test: pytest keeps the latest ones, here gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.full
def test_a_full_size_model_goes_through_every_layout(roomy: Path) -> None:
    """4.3 GB of random numbers: gesso's folder, its single file, Diffusers, and back."""
    torch.manual_seed(0)
    networks = {part: network.to_empty(device="cpu") for part, network in full_size(SD15).items()}
    counts = {part: sum(p.numel() for p in network.parameters()) for part, network in networks.items()}
    assert counts == {"unet": 859_520_964, "autoencoder": 83_653_863, "text_encoder": 123_060_480}
    for network in networks.values():
        for parameter in network.parameters():
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    weights = {part: network.state_dict() for part, network in networks.items()}
    original = Checkpoint(path=roomy, config=SD15, **weights)
    folder, file = roomy / "sd15", roomy / "sd15.safetensors"
    save_folder(original, folder)
    convert(folder, file)

    for path in (folder, file):
        opened = open_checkpoint(path)
        assert opened.config == SD15
        for part, tensors in weights.items():
            assert_same(getattr(opened, part), tensors)

    for load in (
        lambda: StableDiffusionPipeline.from_pretrained(folder),
        lambda: StableDiffusionPipeline.from_single_file(
            str(file), config=str(folder), local_files_only=True
        ),
    ):
        pipe = load()
        assert_same(weights["unet"], pipe.unet.state_dict())
        assert_same(weights["autoencoder"], pipe.vae.state_dict())
        assert_same(without_prefix(weights["text_encoder"]), without_prefix(pipe.text_encoder.state_dict()))
        del pipe
