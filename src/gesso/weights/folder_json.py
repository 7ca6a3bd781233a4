"""The JSON files of a Diffusers folder for one of our models."""

from __future__ import annotations

import json
from typing import Any

from gesso.config import (
    AutoencoderConfig,
    ModelConfig,
    NoiseScheduleConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.weights.folder_config import NETWORK_FILES, NOISE_FILE, PREDICTIONS, UNET_FIXED, UPSIDE_DOWN

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
    settings = {
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
    if not config.zero_terminal_snr:
        return settings
    # Diffusers' PNDM cannot rescale; with "trailing", its DDIM begins where there is nothing but noise.
    del settings["skip_prk_steps"]
    rescaled = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return {**settings, "_class_name": "DDIMScheduler", **rescaled}


def config_note(config: ModelConfig) -> str:
    """What ``read_note`` reads."""
    files = config_files(config)
    return json.dumps({name: files[name] for name in (*NETWORK_FILES, NOISE_FILE)})
