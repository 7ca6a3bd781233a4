"""A model's configuration from the shapes of a single file's tensors.

Shapes tell widths, levels and layers. They do not tell how many heads attention has, nor what the UNet
predicts: files gesso writes note that in their metadata, for others SD 1.x's values are taken.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, replace

from torch import Tensor

from gesso.config import (
    PRESETS,
    AutoencoderConfig,
    ModelConfig,
    NoiseScheduleConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.errors import KeysError
from gesso.weights import ldm

NOTE = "gesso.config"
"""Metadata key of a safetensors file under which the configuration is noted as JSON."""

UNET_LAYERS = ("in_layers.2.weight", "in_layers.2.bias", "emb_layers.1.weight", "out_layers.3.weight")
AUTOENCODER_LAYERS = ("conv1.weight", "conv1.bias", "norm2.weight", "conv2.weight")


class Shapes:
    """The shapes of the tensors below a prefix."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str, where: str) -> None:
        self.where = where
        self.prefix = prefix + "."
        self.shapes = {
            key.removeprefix(self.prefix): tuple(tensor.shape)
            for key, tensor in tensors.items()
            if key.startswith(self.prefix)
        }

    def size(self, dimension: int, *names: str) -> int:
        """Size of a dimension all the named tensors share, from the first of them that is there."""
        for name in names:
            shape = self.shapes.get(name, ())
            if dimension < len(shape):
                return shape[dimension]
        raise KeysError(f"tensors: 1 missing ({self.prefix}{names[0]})", where=self.where)

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.shapes)

    def count(self, prefix: str) -> int:
        """How many modules of a list there are: one more than the highest number after ``prefix``."""
        numbers = (re.match(rf"{re.escape(prefix)}(\d+)\.", name) for name in self.shapes)
        return max((int(match[1]) + 1 for match in numbers if match), default=0)


def infer_config(tensors: Mapping[str, Tensor], note: str | None, *, where: str) -> ModelConfig:
    """The configuration of a whole single-file model.

    Args:
        tensors: under their names in the file.
        note: what the file's metadata has under ``NOTE``.
        where: the file's name, for messages.

    Raises:
        KeysError: tensors are missing without which the size cannot be told.
    """
    config = ModelConfig(
        unet=infer_unet(Shapes(tensors, ldm.UNET, where)),
        autoencoder=infer_autoencoder(Shapes(tensors, ldm.AUTOENCODER, where)),
        text_encoder=infer_text_encoder(Shapes(tensors, f"{ldm.TEXT_ENCODER}.text_model", where)),
    )
    return known(config if note is None else with_note(config, note))


def infer_unet(shapes: Shapes) -> UNetConfig:
    levels: list[list[int]] = [[]]
    attention = [False]
    for index in range(1, shapes.count("input_blocks.")):
        block = f"input_blocks.{index}"
        if shapes.has(f"{block}.0.op."):
            levels.append([])
            attention.append(False)
        else:
            levels[-1].append(shapes.size(0, *(f"{block}.0.{layer}" for layer in UNET_LAYERS)))
            attention[-1] |= shapes.has(f"{block}.1.")
    channels = tuple(level[0] for level in levels if level)
    context = (
        name for name in shapes.shapes if name.endswith((".attn2.to_k.weight", ".attn2.to_v.weight"))
    )
    return UNetConfig(
        in_channels=shapes.size(1, "input_blocks.0.0.weight"),
        out_channels=shapes.size(0, "out.2.weight", "out.2.bias"),
        block_channels=channels,
        layers_per_block=max(map(len, levels)),
        attention_levels=tuple(attention[: len(channels)]),
        heads=usual_heads(channels),
        context_dim=shapes.size(1, *context, "middle_block.1.transformer_blocks.0.attn2.to_k.weight"),
        groups=usual_groups(channels),
    )


def infer_autoencoder(shapes: Shapes) -> AutoencoderConfig:
    channels = tuple(
        shapes.size(0, *(f"encoder.down.{level}.block.0.{layer}" for layer in AUTOENCODER_LAYERS))
        for level in range(shapes.count("encoder.down."))
    )
    return AutoencoderConfig(
        image_channels=shapes.size(1, "encoder.conv_in.weight"),
        latent_channels=shapes.size(0, "post_quant_conv.weight", "post_quant_conv.bias"),
        block_channels=channels,
        layers_per_block=shapes.count("encoder.down.0.block."),
        groups=usual_groups(channels),
    )


def infer_text_encoder(shapes: Shapes) -> TextEncoderConfig:
    width = shapes.size(1, "embeddings.token_embedding.weight")
    return TextEncoderConfig(
        vocab_size=shapes.size(0, "embeddings.token_embedding.weight"),
        width=width,
        layers=shapes.count("encoder.layers."),
        heads=max(1, width // 64),
        mlp_width=shapes.size(0, "encoder.layers.0.mlp.fc1.weight", "encoder.layers.0.mlp.fc1.bias"),
        max_length=shapes.size(0, "embeddings.position_embedding.weight"),
    )


def usual_groups(channels: tuple[int, ...]) -> int:
    """SD 1.x's 32, or the most that divide narrower networks."""
    return math.gcd(32, *channels)


def usual_heads(channels: tuple[int, ...]) -> int:
    """SD 1.x's 8, or the most that divide narrower networks."""
    return math.gcd(8, *channels)


def known(config: ModelConfig) -> ModelConfig:
    """The preset that has the same networks, if there is one: it knows its name and guidance scale."""
    for preset in PRESETS.values():
        if replace(config, name=preset.name, guidance_scale=preset.guidance_scale) == preset:
            return preset
    return config


def config_note(config: ModelConfig) -> str:
    """What shapes do not tell, as JSON for a file's metadata."""
    return json.dumps(asdict(config))


def with_note(config: ModelConfig, note: str) -> ModelConfig:
    """Take from a note what shapes do not tell; a note that is none of ours changes nothing."""
    try:
        noted = json.loads(note)
        unet, autoencoder, text_encoder = noted["unet"], noted["autoencoder"], noted["text_encoder"]
        return replace(
            config,
            name=str(noted["name"]),
            guidance_scale=float(noted["guidance_scale"]),
            unet=replace(
                config.unet,
                heads=int(unet["heads"]),
                groups=int(unet["groups"]),
                sample_size=int(unet["sample_size"]),
            ),
            autoencoder=replace(
                config.autoencoder,
                groups=int(autoencoder["groups"]),
                scaling_factor=float(autoencoder["scaling_factor"]),
            ),
            text_encoder=replace(
                config.text_encoder,
                heads=int(text_encoder["heads"]),
                activation=text_encoder["activation"],
            ),
            noise=NoiseScheduleConfig(**noted["noise"]),
        )
    except (ValueError, KeyError, TypeError):
        return config
