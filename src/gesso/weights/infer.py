"""A model's configuration from the shapes of a single file's tensors.

Shapes tell widths, levels and layers. They do not tell how many heads attention has, nor what the UNet
predicts: for these SD 1.x's values are taken. (Files gesso writes note their configuration instead.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from gesso.config import (
    PRESETS,
    AutoencoderConfig,
    ModelConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.errors import KeysError
from gesso.weights import ldm

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


def infer_config(tensors: Mapping[str, Tensor], path: Path) -> ModelConfig:
    """The configuration of a whole single-file model.

    Args:
        tensors: under their names in the file.
        path: the file, for the model's name and messages.

    Raises:
        KeysError: tensors are missing without which the size cannot be told.
    """
    where = str(path)
    config = ModelConfig(
        name=path.stem,
        unet=infer_unet(Shapes(tensors, ldm.UNET, where)),
        autoencoder=infer_autoencoder(Shapes(tensors, ldm.AUTOENCODER, where)),
        text_encoder=infer_text_encoder(Shapes(tensors, f"{ldm.TEXT_ENCODER}.text_model", where)),
    )
    return known(config)


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
    """The preset that has the same networks, if there is one: with its name, guidance scale and sampler.

    A model of a preset's UNet that differs elsewhere, such as one trained anew, has its scale and sampler.
    """
    for preset in PRESETS.values():
        if replace(_drawn_as(config, preset), name=preset.name) == preset:
            return preset
    alike = (preset for preset in PRESETS.values() if preset.unet == config.unet)
    return _drawn_as(config, next(alike, config))


def _drawn_as(config: ModelConfig, other: ModelConfig) -> ModelConfig:
    """With the other's settings that a request falls back on."""
    return replace(config, guidance_scale=other.guidance_scale, sampler=other.sampler)
