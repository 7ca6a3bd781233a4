"""What the JSON files of a Diffusers folder say about a model, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gesso.config import (
    AutoencoderConfig,
    ModelConfig,
    NoiseScheduleConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.errors import FormatError, WrongKindError
from gesso.weights.formats import AGAIN
from gesso.weights.infer import known
from gesso.weights.kinds import ONLY_SD1
from gesso.weights.settings import Settings

NETWORK_FILES = ("unet/config.json", "vae/config.json", "text_encoder/config.json")
NOISE_FILE = "scheduler/scheduler_config.json"

MOST_LAYERS = 128
"""No network has more in one level."""

UNET_FIXED = {
    "act_fn": "silu",
    "addition_embed_type": None,
    "attention_type": "default",
    "center_input_sample": False,
    "class_embed_type": None,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_only_cross_attention": None,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-05,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "time_cond_proj_dim": None,
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
    "transformer_layers_per_block": 1,
    "use_linear_projection": False,
}
AUTOENCODER_FIXED = {
    "act_fn": "silu",
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
TEXT_ENCODER_FIXED = {"layer_norm_eps": 1e-05}
NOISE_FIXED = {"trained_betas": None}
"""Settings of which the networks of SD 1.x have only this value; a missing setting has it too."""


UPSIDE_DOWN = {"CrossAttnDownBlock2D": "CrossAttnUpBlock2D", "DownBlock2D": "UpBlock2D"}
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v"}
ACTIVATIONS = {"quick_gelu": "quick_gelu", "gelu": "gelu"}
BETA_SCHEDULES = {"scaled_linear": "scaled_linear", "linear": "linear"}


def read_config(folder: Path) -> ModelConfig:
    """The configuration of a model in a Diffusers folder.

    Raises:
        FormatError: a configuration file is missing or makes no sense.
        WrongKindError: it asks for something SD 1.x does not have.
    """
    files = {name: Settings.read(folder / name) for name in NETWORK_FILES}
    if (folder / NOISE_FILE).exists():
        files[NOISE_FILE] = Settings.read(folder / NOISE_FILE)
    return model_config(files, folder.resolve().name)


def read_note(note: str, path: Path) -> ModelConfig:
    """The configuration noted in a single file's metadata, which are the same JSON files in one."""
    try:
        noted = Settings(json.loads(note), str(path)).values
    except (ValueError, RecursionError) as error:
        raise FormatError("has a corrupt note of its configuration", AGAIN, where=str(path)) from error
    names = (*NETWORK_FILES, NOISE_FILE)
    return model_config({name: Settings(noted.get(name), f"{path}: {name}") for name in names}, path.stem)


def model_config(files: Mapping[str, Settings], name: str) -> ModelConfig:
    unet, autoencoder, text_encoder = (files[name] for name in NETWORK_FILES)
    return known(
        ModelConfig(
            name=name,
            unet=read_unet(unet),
            autoencoder=read_autoencoder(autoencoder),
            text_encoder=read_text_encoder(text_encoder),
            noise=read_noise(files[NOISE_FILE]) if NOISE_FILE in files else NoiseScheduleConfig(),
        )
    )


def read_unet(settings: Settings) -> UNetConfig:
    settings.require({"_class_name": "UNet2DConditionModel", **UNET_FIXED})
    channels = settings.wholes("block_out_channels", (320, 640, 1280, 1280))
    attention = read_attention_levels(settings, len(channels))
    attended = (*(width for width, here in zip(channels, attention, strict=True) if here), channels[-1])
    return UNetConfig(
        in_channels=settings.whole("in_channels", 4),
        out_channels=settings.whole("out_channels", 4),
        block_channels=channels,
        layers_per_block=settings.same("layers_per_block", 2, MOST_LAYERS),
        attention_levels=attention,
        heads=settings.divisor(heads_setting(settings), 8, attended),
        context_dim=settings.same("cross_attention_dim", 1280),
        groups=settings.divisor("norm_num_groups", 32, channels),
        sample_size=settings.whole("sample_size", 64),
    )


def heads_setting(settings: Settings) -> str:
    """Diffusers' SD 1.x folders note the number of heads as ``attention_head_dim``, by mistake."""
    return (
        "attention_head_dim"
        if settings.values.get("num_attention_heads") is None
        else "num_attention_heads"
    )


def read_attention_levels(settings: Settings, levels: int) -> tuple[bool, ...]:
    down = settings.names("down_block_types", ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",))
    up = settings.names("up_block_types", ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3)
    if len(down) != levels or tuple(UPSIDE_DOWN.get(name) for name in reversed(down)) != up:
        raise WrongKindError(
            f"down_block_types {list(down)} and up_block_types {list(up)} are not those of an SD 1.x UNet",
            ONLY_SD1,
            where=settings.where,
        )
    return tuple(name == "CrossAttnDownBlock2D" for name in down)


def read_autoencoder(settings: Settings) -> AutoencoderConfig:
    settings.require({"_class_name": "AutoencoderKL", **AUTOENCODER_FIXED})
    channels = settings.wholes("block_out_channels", (64,))
    for name, block in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
        settings.require({name: [block] * len(channels)})
    return AutoencoderConfig(
        image_channels=settings.whole("in_channels", 3),
        latent_channels=settings.whole("latent_channels", 4),
        block_channels=channels,
        layers_per_block=settings.whole("layers_per_block", 1, MOST_LAYERS),
        groups=settings.divisor("norm_num_groups", 32, channels),
        scaling_factor=settings.number("scaling_factor", 0.18215),
    )


def read_text_encoder(settings: Settings) -> TextEncoderConfig:
    settings.require(TEXT_ENCODER_FIXED)
    width = settings.whole("hidden_size", 512)
    return TextEncoderConfig(
        vocab_size=settings.whole("vocab_size", 49408),
        width=width,
        layers=settings.whole("num_hidden_layers", 12, MOST_LAYERS),
        heads=settings.divisor("num_attention_heads", 8, (width,)),
        mlp_width=settings.whole("intermediate_size", 2048),
        max_length=settings.whole("max_position_embeddings", 77),
        activation=settings.choice("hidden_act", "quick_gelu", ACTIVATIONS),
    )


def read_noise(settings: Settings) -> NoiseScheduleConfig:
    settings.require(NOISE_FIXED)
    prediction = settings.choice("prediction_type", "epsilon", PREDICTIONS)
    zero_terminal_snr = settings.flag("rescale_betas_zero_snr", False)
    if zero_terminal_snr and prediction == "epsilon":
        raise FormatError(
            "rescale_betas_zero_snr is true and prediction_type epsilon, which says nothing of mere noise",
            "Set prediction_type to what the model was trained with, v_prediction most likely.",
            where=settings.where,
        )
    return NoiseScheduleConfig(
        steps=settings.whole("num_train_timesteps", 1000),
        beta_start=settings.number("beta_start", 0.0001),
        beta_end=settings.number("beta_end", 0.02),
        beta_schedule=settings.choice("beta_schedule", "linear", BETA_SCHEDULES),
        prediction=prediction,
        zero_terminal_snr=zero_terminal_snr,
    )
