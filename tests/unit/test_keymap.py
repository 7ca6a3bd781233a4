"""The rename tables lose nothing either way, for networks of any size."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gesso.config import SD15, AutoencoderConfig, ModelConfig, TextEncoderConfig, UNetConfig
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.weights import ldm
from gesso.weights.infer import infer_config
from gesso.weights.keymap import KeyMap, Rename
from gesso.weights.meta import on_meta

WIDTHS = st.sampled_from([8, 16, 24])


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    """Networks of one to four levels, whose groups and heads are the ones shapes let one guess."""
    attention = draw(st.lists(st.booleans(), min_size=1, max_size=3))
    widths = tuple(draw(WIDTHS) for _ in attention)
    autoencoder = tuple(draw(st.lists(WIDTHS, min_size=1, max_size=3)))
    return ModelConfig(
        name="model",
        unet=UNetConfig(
            in_channels=draw(st.sampled_from([4, 9])),
            block_channels=widths,
            layers_per_block=draw(st.integers(1, 2)),
            attention_levels=tuple(attention),
            context_dim=draw(WIDTHS),
            groups=math.gcd(32, *widths),
        ),
        autoencoder=AutoencoderConfig(
            block_channels=autoencoder,
            layers_per_block=draw(st.integers(1, 2)),
            groups=math.gcd(32, *autoencoder),
        ),
        text_encoder=TextEncoderConfig(
            vocab_size=99, width=draw(WIDTHS), layers=draw(st.integers(1, 2)), heads=1, mlp_width=40
        ),
    )


def state_dict(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Every tensor of a model, without its values, under the names of the table's right column."""
    with on_meta():
        networks = {
            "unet": UNet(config.unet),
            "autoencoder": Autoencoder(config.autoencoder),
            "text_encoder": TextEncoder(config.text_encoder),
        }
    return {
        f"{part}.{key}": tensor
        for part, network in networks.items()
        for key, tensor in network.state_dict().items()
    }


@settings(max_examples=6)
@given(configs())
def test_every_tensor_has_a_name_of_its_own_in_the_single_file_and_comes_back(config: ModelConfig) -> None:
    ours = state_dict(config)
    keymap = ldm.keymap(config)
    theirs = keymap.to_theirs(ours)
    assert len(theirs) == len(ours)
    back, unknown = keymap.to_ours(theirs)
    assert not unknown
    assert {key: tensor.shape for key, tensor in back.items()} == {
        key: tensor.shape for key, tensor in ours.items()
    }
    for key in ours:
        assert keymap.our_name(keymap.their_name(key) or "") == key


@settings(max_examples=6)
@given(configs())
def test_shapes_tell_the_configuration(config: ModelConfig) -> None:
    theirs = ldm.keymap(config).to_theirs(state_dict(config))
    inferred = infer_config(theirs, Path("model.ckpt"))
    assert inferred == config


def test_names_of_sd15_are_the_published_ones() -> None:
    keymap = ldm.keymap(SD15)
    published = {
        "unet.conv_in.bias": "model.diffusion_model.input_blocks.0.0.bias",
        "unet.time_embedding.linear_2.weight": "model.diffusion_model.time_embed.2.weight",
        "unet.down_blocks.0.downsamplers.0.conv.weight": "model.diffusion_model.input_blocks.3.0.op.weight",
        "unet.down_blocks.3.resnets.1.time_emb_proj.bias": (
            "model.diffusion_model.input_blocks.11.0.emb_layers.1.bias"
        ),
        "unet.mid_block.attentions.0.proj_in.weight": "model.diffusion_model.middle_block.1.proj_in.weight",
        "unet.up_blocks.0.upsamplers.0.conv.bias": "model.diffusion_model.output_blocks.2.1.conv.bias",
        "unet.up_blocks.1.upsamplers.0.conv.bias": "model.diffusion_model.output_blocks.5.2.conv.bias",
        "unet.up_blocks.3.resnets.2.conv_shortcut.weight": (
            "model.diffusion_model.output_blocks.11.0.skip_connection.weight"
        ),
        "unet.conv_norm_out.weight": "model.diffusion_model.out.0.weight",
        "autoencoder.decoder.up_blocks.0.resnets.2.conv1.weight": (
            "first_stage_model.decoder.up.3.block.2.conv1.weight"
        ),
        "autoencoder.encoder.mid_block.attentions.0.to_out.0.bias": (
            "first_stage_model.encoder.mid.attn_1.proj_out.bias"
        ),
        "text_encoder.text_model.final_layer_norm.bias": (
            "cond_stage_model.transformer.text_model.final_layer_norm.bias"
        ),
    }
    for ours, theirs in published.items():
        assert keymap.their_name(ours) == theirs
        assert keymap.our_name(theirs) == ours


def test_attention_of_the_autoencoder_changes_shape_and_back() -> None:
    keymap = KeyMap([Rename("q", "to_q", pointwise=True)])
    matrix = torch.arange(4.0).reshape(2, 2)
    theirs = keymap.to_theirs({"to_q.weight": matrix, "to_q.bias": matrix[0]})
    assert theirs["q.weight"].shape == (2, 2, 1, 1)
    back, _ = keymap.to_ours(theirs)
    assert torch.equal(back["to_q.weight"], matrix)
    assert torch.equal(back["to_q.bias"], matrix[0])


def test_a_larger_kernel_is_left_for_the_strict_check() -> None:
    ours, _ = KeyMap([Rename("q", "to_q", pointwise=True)]).to_ours({"q.weight": torch.ones(2, 2, 3, 3)})
    assert ours["to_q.weight"].shape == (2, 2, 3, 3)


def test_names_without_an_entry_are_told() -> None:
    keymap = KeyMap([Rename("a.b", "c")])
    assert keymap.to_ours({"a.bc": torch.ones(1), "a": torch.ones(1)}) == ({}, ["a.bc", "a"])
    with pytest.raises(KeyError, match="d"):
        keymap.to_theirs({"d.weight": torch.ones(1)})


@pytest.mark.parametrize(
    "renames",
    [
        [Rename("a", "x"), Rename("a", "y")],
        [Rename("a", "x"), Rename("b", "x")],
        [Rename("a", "x"), Rename("a.b", "y")],
        [Rename("a", "x.y"), Rename("b", "x")],
    ],
)
def test_a_table_that_would_lose_names_is_refused(renames: list[Rename]) -> None:
    with pytest.raises(ValueError, match="rename table"):
        KeyMap(renames)


def test_weights_averaged_over_training_are_found() -> None:
    key = "model.diffusion_model.input_blocks.0.0.weight"
    tensors = {key: torch.zeros(1), "model_ema.diffusion_modelinput_blocks00weight": torch.ones(1)}
    assert ldm.averaged(tensors) == {key: torch.ones(1)}
    assert ldm.model_tensors(tensors) == {key: torch.zeros(1)}
