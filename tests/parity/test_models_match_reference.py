"""The three models against Diffusers' and transformers' with the same weights, in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from gesso.config import SD15, SD15_INPAINT, STORYBOOK, AutoencoderConfig, TextEncoderConfig, UNetConfig
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet

Model = TypeVar("Model", bound=nn.Module)

TOLERANCE = 1e-5

TINY_UNET = UNetConfig(
    block_channels=(32, 64),
    attention_levels=(True, False),
    heads=2,
    context_dim=32,
    groups=8,
    sample_size=8,
)
UNETS = {
    "tiny": TINY_UNET,
    "one level": replace(TINY_UNET, block_channels=(32,), attention_levels=(True,)),
    "no attention above": replace(TINY_UNET, attention_levels=(False, True)),
    "inpainting": replace(TINY_UNET, in_channels=9),
    "one layer a level": replace(TINY_UNET, layers_per_block=1),
    "sd15 in small": replace(SD15.unet, block_channels=(32, 64, 96, 96), context_dim=48),
    "storybook": STORYBOOK.unet,
}
AUTOENCODERS = {
    "tiny": AutoencoderConfig(block_channels=(8, 16), groups=4),
    "three layers": AutoencoderConfig(block_channels=(8, 8, 16), layers_per_block=3, groups=4),
    "sd15 in small": AutoencoderConfig(block_channels=(32, 32, 64, 64)),
    "storybook": STORYBOOK.autoencoder,
}
TEXT_ENCODERS = {
    "tiny": TextEncoderConfig(vocab_size=100, width=32, layers=2, heads=2, mlp_width=64),
    "gelu": TextEncoderConfig(
        vocab_size=100, width=32, layers=2, heads=4, mlp_width=128, activation="gelu"
    ),
    "storybook": STORYBOOK.text_encoder,
}


def reference_unet(config: UNetConfig) -> UNet2DConditionModel:
    def kinds(direction: str, levels: tuple[bool, ...]) -> tuple[str, ...]:
        return tuple(f"CrossAttn{direction}Block2D" if level else f"{direction}Block2D" for level in levels)

    return UNet2DConditionModel(
        sample_size=config.sample_size,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        down_block_types=kinds("Down", config.attention_levels),
        up_block_types=kinds("Up", config.attention_levels[::-1]),
        block_out_channels=config.block_channels,
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.context_dim,
        attention_head_dim=config.heads,
        norm_num_groups=config.groups,
    ).eval()


def reference_autoencoder(config: AutoencoderConfig) -> AutoencoderKL:
    levels = len(config.block_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.block_channels,
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.groups,
    ).eval()


def reference_text_encoder(config: TextEncoderConfig) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.max_length,
            hidden_act=config.activation,
        )
    ).eval()


def with_weights_of(model: Model, reference: nn.Module) -> Model:
    """Make every weight of the reference random (norms and biases start out trivial), and share them."""
    for parameter in reference.parameters():
        spread = 1.0 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        nn.init.normal_(parameter, mean=float(parameter.ndim == 1) * 0.5, std=spread)
    state = {
        name
        if not isinstance(model, TextEncoder) or name.startswith("text_model.")
        else f"text_model.{name}": t
        for name, t in reference.state_dict().items()
        if not name.endswith("position_ids")
    }
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def relative_error(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).norm() / reference.norm())


@torch.no_grad()
def unet_error(config: UNetConfig, height: int, width: int) -> float:
    torch.manual_seed(0)
    reference = reference_unet(config)
    unet = with_weights_of(UNet(config), reference)
    latents = torch.randn(2, config.in_channels, height, width)
    timesteps = torch.tensor([3, 981])
    context = torch.randn(2, 77, config.context_dim)
    return relative_error(unet(latents, timesteps, context), reference(latents, timesteps, context).sample)


@torch.no_grad()
def autoencoder_errors(config: AutoencoderConfig, height: int, width: int) -> tuple[float, float]:
    torch.manual_seed(0)
    reference = reference_autoencoder(config)
    autoencoder = with_weights_of(Autoencoder(config), reference)
    image = torch.rand(2, 3, height * config.downscale, width * config.downscale) * 2 - 1
    posterior = reference.encode(image).latent_dist
    noise = torch.randn(posterior.mean.shape)
    expected = (posterior.mean + posterior.std * noise) * config.scaling_factor
    decoded = reference.decode(expected / config.scaling_factor).sample
    encode_error = relative_error(autoencoder.encode(image, noise), expected)
    return encode_error, relative_error(autoencoder.decode(expected), decoded)


@torch.no_grad()
def text_encoder_error(config: TextEncoderConfig, skip_layers: int) -> float:
    torch.manual_seed(0)
    reference = reference_text_encoder(config)
    text_encoder = with_weights_of(TextEncoder(config), reference)
    tokens = torch.randint(0, config.vocab_size, (2, config.max_length))
    hidden = reference(tokens, output_hidden_states=True).hidden_states[-1 - skip_layers]
    expected = text_encoder.text_model.final_layer_norm(hidden)
    if skip_layers == 0:
        expected = reference(tokens).last_hidden_state
    return relative_error(text_encoder(tokens, skip_layers), expected)


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("size", [(16, 16), (24, 8)])
def test_unet(name: str, size: tuple[int, int]) -> None:
    assert unet_error(UNETS[name], *size) <= TOLERANCE


def test_unet_at_sizes_that_do_not_halve_evenly() -> None:
    assert unet_error(UNETS["sd15 in small"], 11, 13) <= TOLERANCE


@pytest.mark.parametrize("name", AUTOENCODERS)
@pytest.mark.parametrize("size", [(8, 8), (12, 4)])
def test_autoencoder(name: str, size: tuple[int, int]) -> None:
    assert max(autoencoder_errors(AUTOENCODERS[name], *size)) <= TOLERANCE


@pytest.mark.parametrize("name", TEXT_ENCODERS)
@pytest.mark.parametrize("skip_layers", [0, 1])
def test_text_encoder(name: str, skip_layers: int) -> None:
    assert text_encoder_error(TEXT_ENCODERS[name], skip_layers) <= TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("name", TEXT_ENCODERS)
def test_tokens_hidden_from_attention(name: str) -> None:
    config = TEXT_ENCODERS[name]
    torch.manual_seed(0)
    reference = reference_text_encoder(config)
    text_encoder = with_weights_of(TextEncoder(config), reference)
    tokens = torch.randint(0, config.vocab_size, (3, config.max_length))
    visible = torch.rand(3, config.max_length) < 0.7
    visible[:, 0] = True
    expected = reference(tokens, attention_mask=visible.long()).last_hidden_state
    assert relative_error(text_encoder(tokens, visible=visible), expected) <= TOLERANCE
    assert relative_error(text_encoder(tokens), expected) > 1e-2


def test_an_image_is_encoded_to_the_mean_when_no_noise_is_given() -> None:
    autoencoder = Autoencoder(AUTOENCODERS["tiny"]).eval()
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    mean = autoencoder.posterior(image).mean * 0.18215
    torch.testing.assert_close(autoencoder.encode(image), mean)


@pytest.mark.parametrize(
    ("model", "config", "count"),
    [
        (UNet, SD15.unet, 859_520_964),
        (UNet, SD15_INPAINT.unet, 859_535_364),
        (Autoencoder, SD15.autoencoder, 83_653_863),
        (TextEncoder, SD15.text_encoder, 123_060_480),
    ],
)
def test_parameter_counts(model: type[nn.Module], config: object, count: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in model(config).parameters()) == count


@pytest.mark.full
@pytest.mark.parametrize("config", [SD15.unet, SD15_INPAINT.unet], ids=["sd15", "inpainting"])
def test_full_size_unet(config: UNetConfig) -> None:
    assert unet_error(config, 32, 32) <= TOLERANCE


@pytest.mark.full
def test_full_size_autoencoder() -> None:
    assert max(autoencoder_errors(SD15.autoencoder, 32, 32)) <= TOLERANCE


@pytest.mark.full
def test_full_size_text_encoder() -> None:
    assert text_encoder_error(SD15.text_encoder, 0) <= TOLERANCE
