"""The single-file layout of the CompVis and Runway releases, as data: a state dict of three prefixed parts.

Rombach et al.'s ``ldm`` code numbers the UNet's blocks through (``input_blocks.0`` … ``output_blocks.11``)
where Diffusers counts levels and layers; the tables are made from the configuration, so that they hold
for models of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from gesso.config import AutoencoderConfig, ModelConfig, UNetConfig
from gesso.weights.keymap import KeyMap, Rename

UNET = "model.diffusion_model"
AUTOENCODER = "first_stage_model"
TEXT_ENCODER = "cond_stage_model.transformer"
EMA = "model_ema."

TRAINING_ONLY = frozenset(
    {
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "betas",
        "log_one_minus_alphas_cumprod",
        "logvar",
        "lvlb_weights",
        "posterior_log_variance_clipped",
        "posterior_mean_coef1",
        "posterior_mean_coef2",
        "posterior_variance",
        "scale_factor",
        "sqrt_alphas_cumprod",
        "sqrt_one_minus_alphas_cumprod",
        "sqrt_recip_alphas_cumprod",
        "sqrt_recipm1_alphas_cumprod",
        "cond_stage_model.logit_scale",
        "cond_stage_model.text_projection",
        f"{TEXT_ENCODER}.text_projection.weight",
    }
)
"""Buffers of the training code (the noise schedule, what follows from it) and CLIP's projections."""

TRAINING_ONLY_PREFIXES = (EMA, "loss.", f"{AUTOENCODER}.loss.", "embedding_manager.")

RESNET = (
    Rename("in_layers.0", "norm1"),
    Rename("in_layers.2", "conv1"),
    Rename("emb_layers.1", "time_emb_proj"),
    Rename("out_layers.0", "norm2"),
    Rename("out_layers.3", "conv2"),
    Rename("skip_connection", "conv_shortcut"),
)
AUTOENCODER_RESNET = (
    Rename("norm1", "norm1"),
    Rename("conv1", "conv1"),
    Rename("norm2", "norm2"),
    Rename("conv2", "conv2"),
    Rename("nin_shortcut", "conv_shortcut"),
)
AUTOENCODER_ATTENTION = (
    Rename("norm", "group_norm"),
    Rename("q", "to_q", pointwise=True),
    Rename("k", "to_k", pointwise=True),
    Rename("v", "to_v", pointwise=True),
    Rename("proj_out", "to_out.0", pointwise=True),
)


def keymap(config: ModelConfig) -> KeyMap:
    """The whole file's names <-> ours, prefixed ``unet.``, ``autoencoder.`` or ``text_encoder.``."""
    unet = (rename.below(UNET, "unet") for rename in unet_renames(config.unet))
    autoencoder = (
        rename.below(AUTOENCODER, "autoencoder") for rename in autoencoder_renames(config.autoencoder)
    )
    text_encoder = Rename(f"{TEXT_ENCODER}.text_model", "text_encoder.text_model")
    return KeyMap((*unet, *autoencoder, text_encoder))


def unet_renames(config: UNetConfig) -> Iterator[Rename]:
    yield Rename("time_embed.0", "time_embedding.linear_1")
    yield Rename("time_embed.2", "time_embedding.linear_2")
    yield Rename("input_blocks.0.0", "conv_in")
    yield from down_renames(config)
    yield from (rename.below("middle_block.0", "mid_block.resnets.0") for rename in RESNET)
    yield Rename("middle_block.1", "mid_block.attentions.0")
    yield from (rename.below("middle_block.2", "mid_block.resnets.1") for rename in RESNET)
    yield from up_renames(config)
    yield Rename("out.0", "conv_norm_out")
    yield Rename("out.2", "conv_out")


def down_renames(config: UNetConfig) -> Iterator[Rename]:
    index = 1
    for level, attention in enumerate(config.attention_levels):
        for layer in range(config.layers_per_block):
            theirs, ours = f"input_blocks.{index}", f"down_blocks.{level}"
            yield from (rename.below(f"{theirs}.0", f"{ours}.resnets.{layer}") for rename in RESNET)
            if attention:
                yield Rename(f"{theirs}.1", f"{ours}.attentions.{layer}")
            index += 1
        if level < len(config.block_channels) - 1:
            yield Rename(f"input_blocks.{index}.0.op", f"down_blocks.{level}.downsamplers.0.conv")
            index += 1


def up_renames(config: UNetConfig) -> Iterator[Rename]:
    index = 0
    last = len(config.block_channels) - 1
    for level, attention in enumerate(reversed(config.attention_levels)):
        ours = f"up_blocks.{level}"
        for layer in range(config.layers_per_block + 1):
            theirs = f"output_blocks.{index}"
            yield from (rename.below(f"{theirs}.0", f"{ours}.resnets.{layer}") for rename in RESNET)
            if attention:
                yield Rename(f"{theirs}.1", f"{ours}.attentions.{layer}")
            if layer == config.layers_per_block and level < last:
                upsample = 2 if attention else 1
                yield Rename(f"{theirs}.{upsample}.conv", f"{ours}.upsamplers.0.conv")
            index += 1


def autoencoder_renames(config: AutoencoderConfig) -> Iterator[Rename]:
    levels = len(config.block_channels)
    for level in range(levels):
        theirs, ours = f"encoder.down.{level}", f"encoder.down_blocks.{level}"
        yield from level_renames(theirs, ours, config.layers_per_block)
        if level < levels - 1:
            yield Rename(f"{theirs}.downsample.conv", f"{ours}.downsamplers.0.conv")
    for level in range(levels):
        # ldm counts the decoder's levels from the finest, Diffusers in the order they are run
        theirs, ours = f"decoder.up.{levels - 1 - level}", f"decoder.up_blocks.{level}"
        yield from level_renames(theirs, ours, config.layers_per_block + 1)
        if level < levels - 1:
            yield Rename(f"{theirs}.upsample.conv", f"{ours}.upsamplers.0.conv")
    for half in ("encoder", "decoder"):
        yield Rename(f"{half}.conv_in", f"{half}.conv_in")
        yield from middle_renames(f"{half}.mid", f"{half}.mid_block")
        yield Rename(f"{half}.norm_out", f"{half}.conv_norm_out")
        yield Rename(f"{half}.conv_out", f"{half}.conv_out")
    yield Rename("quant_conv", "quant_conv")
    yield Rename("post_quant_conv", "post_quant_conv")


def level_renames(theirs: str, ours: str, layers: int) -> Iterator[Rename]:
    for layer in range(layers):
        for rename in AUTOENCODER_RESNET:
            yield rename.below(f"{theirs}.block.{layer}", f"{ours}.resnets.{layer}")


def middle_renames(theirs: str, ours: str) -> Iterator[Rename]:
    for rename in AUTOENCODER_RESNET:
        yield rename.below(f"{theirs}.block_1", f"{ours}.resnets.0")
        yield rename.below(f"{theirs}.block_2", f"{ours}.resnets.1")
    for rename in AUTOENCODER_ATTENTION:
        yield rename.below(f"{theirs}.attn_1", f"{ours}.attentions.0")


def model_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors without training's own; the names of early releases brought up to date."""
    return {
        modern_name(key): tensor
        for key, tensor in tensors.items()
        if key not in TRAINING_ONLY
        and not key.startswith(TRAINING_ONLY_PREFIXES)
        and not key.endswith(".position_ids")
    }


def averaged(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The UNet weights averaged over training (EMA), as far as there are any, under their usual names."""
    names = (key for key in tensors if key.startswith(f"{UNET}."))
    return {key: tensors[ema_name(key)] for key in names if ema_name(key) in tensors}


def ema_name(key: str) -> str:
    """Where the average of a UNet weight is: its name without the outer module and the dots."""
    return EMA + key.removeprefix("model.").replace(".", "")


def modern_name(key: str) -> str:
    """Early files name the text encoder's modules without ``text_model``."""
    below = key.removeprefix(f"{TEXT_ENCODER}.")
    if below != key and below.startswith(("embeddings.", "encoder.", "final_layer_norm.")):
        return f"{TEXT_ENCODER}.text_model.{below}"
    return key
