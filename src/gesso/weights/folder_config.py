"""What the JSON files of a Diffusers folder say about a model, and what they must say about ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gesso.config import (
    AutoencoderConfig,
    ModelConfig,
    NoiseScheduleConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.errors import WrongKindError
from gesso.weights.infer import known
from gesso.weights.settings import Settings

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
NOISE_FIXED = {"rescale_betas_zero_snr": False, "trained_betas": None}
"""Settings of which the networks of SD 1.x have only this value; a missing setting has it too."""


UNET_WRITTEN = (
    "act_fn",
    "center_input_sample",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
    "mid_block_scale_factor",
    "norm_eps",
)
"""The fixed settings that published folders write out."""

DIFFUSERS_VERSION = "0.35.0"
"""Which version's layout is written; every later one reads it."""

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
    noise_file = folder / "scheduler" / "scheduler_config.json"
    unet = read_unet(Settings(folder / "unet" / "config.json"))
    return known(
        ModelConfig(
            name=folder.resolve().name,
            unet=unet,
            autoencoder=read_autoencoder(Settings(folder / "vae" / "config.json")),
            text_encoder=read_text_encoder(Settings(folder / "text_encoder" / "config.json")),
            noise=read_noise(Settings(noise_file)) if noise_file.exists() else NoiseScheduleConfig(),
        )
    )


def read_unet(settings: Settings) -> UNetConfig:
    settings.require({"_class_name": "UNet2DConditionModel", **UNET_FIXED})
    channels = settings.wholes("block_out_channels", (320, 640, 1280, 1280))
    return UNetConfig(
        in_channels=settings.whole("in_channels", 4),
        out_channels=settings.whole("out_channels", 4),
        block_channels=channels,
        layers_per_block=settings.same("layers_per_block", 2),
        attention_levels=read_attention_levels(settings, len(channels)),
        heads=settings.same(heads_setting(settings), 8),
        context_dim=settings.same("cross_attention_dim", 1280),
        groups=settings.whole("norm_num_groups", 32),
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
            "gesso runs Stable Diffusion 1.x models.",
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
        layers_per_block=settings.whole("layers_per_block", 1),
        groups=settings.whole("norm_num_groups", 32),
        scaling_factor=settings.number("scaling_factor", 0.18215),
    )


def read_text_encoder(settings: Settings) -> TextEncoderConfig:
    settings.require(TEXT_ENCODER_FIXED)
    return TextEncoderConfig(
        vocab_size=settings.whole("vocab_size", 49408),
        width=settings.whole("hidden_size", 512),
        layers=settings.whole("num_hidden_layers", 12),
        heads=settings.whole("num_attention_heads", 8),
        mlp_width=settings.whole("intermediate_size", 2048),
        max_length=settings.whole("max_position_embeddings", 77),
        activation=settings.choice("hidden_act", "quick_gelu", ACTIVATIONS),
    )


def read_noise(settings: Settings) -> NoiseScheduleConfig:
    settings.require(NOISE_FIXED)
    return NoiseScheduleConfig(
        steps=settings.whole("num_train_timesteps", 1000),
        beta_start=settings.number("beta_start", 0.0001),
        beta_end=settings.number("beta_end", 0.02),
        beta_schedule=settings.choice("beta_schedule", "linear", BETA_SCHEDULES),
        prediction=settings.choice("prediction_type", "epsilon", PREDICTIONS),
    )


def config_files(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """Every JSON file of a Diffusers folder for a model, but the tokenizer's: path -> content."""
    pipeline = "StableDiffusionInpaintPipeline" if config.inpainting else "StableDiffusionPipeline"
    return {
        "model_index.json": {
            "_class_name": pipeline,
            "_diffusers_version": DIFFUSERS_VERSION,
            "feature_extractor": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
        "unet/config.json": unet_json(config.unet),
        "vae/config.json": autoencoder_json(config.autoencoder, config.image_size),
        "text_encoder/config.json": text_encoder_json(config.text_encoder),
        "scheduler/scheduler_config.json": noise_json(config.noise),
    }


def unet_json(config: UNetConfig) -> dict[str, Any]:
    down = ["CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in config.attention_levels]
    return {
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": DIFFUSERS_VERSION,
        "attention_head_dim": config.heads,
        "block_out_channels": list(config.block_channels),
        "cross_attention_dim": config.context_dim,
        "down_block_types": down,
        "in_channels": config.in_channels,
        "layers_per_block": config.layers_per_block,
        "norm_num_groups": config.groups,
        "out_channels": config.out_channels,
        "sample_size": config.sample_size,
        "up_block_types": [UPSIDE_DOWN[name] for name in reversed(down)],
        **{name: UNET_FIXED[name] for name in UNET_WRITTEN},
    }


def autoencoder_json(config: AutoencoderConfig, image_size: int) -> dict[str, Any]:
    levels = len(config.block_channels)
    return {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": DIFFUSERS_VERSION,
        "act_fn": "silu",
        "block_out_channels": list(config.block_channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "in_channels": config.image_channels,
        "latent_channels": config.latent_channels,
        "layers_per_block": config.layers_per_block,
        "norm_num_groups": config.groups,
        "out_channels": config.image_channels,
        "sample_size": image_size,
        "scaling_factor": config.scaling_factor,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def text_encoder_json(config: TextEncoderConfig) -> dict[str, Any]:
    return {
        "architectures": ["CLIPTextModel"],
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "dropout": 0.0,
        "eos_token_id": 2,
        "hidden_act": config.activation,
        "hidden_size": config.width,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": config.mlp_width,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": config.max_length,
        "model_type": "clip_text_model",
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "pad_token_id": 1,
        "projection_dim": config.width,
        "vocab_size": config.vocab_size,
    }


def noise_json(config: NoiseScheduleConfig) -> dict[str, Any]:
    prediction = {ours: theirs for theirs, ours in PREDICTIONS.items()}[config.prediction]
    return {
        "_class_name": "PNDMScheduler",
        "_diffusers_version": DIFFUSERS_VERSION,
        "beta_end": config.beta_end,
        "beta_schedule": config.beta_schedule,
        "beta_start": config.beta_start,
        "clip_sample": False,
        "num_train_timesteps": config.steps,
        "prediction_type": prediction,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "trained_betas": None,
    }
