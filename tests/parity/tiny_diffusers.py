"""Small models of Diffusers and transformers, of random weights, for the tests that compare pictures."""

from __future__ import annotations

from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel


def tiny_ends() -> tuple[AutoencoderKL, CLIPTextModel]:
    """What stands on both sides of a UNet with contexts 32 wide: an autoencoder and a text encoder."""
    autoencoder = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    )
    return autoencoder, text_encoder
