"""What a Stable Diffusion model is made of, as frozen dataclasses, and the models gesso knows by name.

The same code builds the 860 M-parameter UNet of SD 1.5, its inpainting variant with nine input
channels, the built-in storybook model and the tiny ones of the tests: they differ only in these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Prediction = Literal["epsilon", "v"]


@dataclass(frozen=True)
class UNetConfig:
    """The denoising network.

    Attributes:
        in_channels: 4 (latents), or 9 for inpainting (latents, mask, masked image's latents).
        out_channels: channels of the model output, one per latent channel.
        block_channels: width of each level, the finest first.
        layers_per_block: ResnetBlocks a level on the way down; one more on the way up.
        attention_levels: which levels have SpatialTransformers.
        heads: attention heads, the same at every level (so heads widen with the level).
        context_dim: width of the text encoder's hidden states.
        groups: of every GroupNorm.
        sample_size: side of the latents the model was trained on.
    """

    in_channels: int = 4
    out_channels: int = 4
    block_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    heads: int = 8
    context_dim: int = 768
    groups: int = 32
    sample_size: int = 64

    @property
    def time_embedding_dim(self) -> int:
        return 4 * self.block_channels[0]


@dataclass(frozen=True)
class AutoencoderConfig:
    """The variational autoencoder between images and latents.

    Attributes:
        block_channels: width of each level, the finest first; each level but the last halves the side.
        layers_per_block: ResnetBlocks a level in the encoder; one more in the decoder.
        latent_channels: channels of the latents.
        groups: of every GroupNorm.
        scaling_factor: what encoded latents are multiplied with, so that they have about unit variance.
    """

    image_channels: int = 3
    latent_channels: int = 4
    block_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    groups: int = 32
    scaling_factor: float = 0.18215

    @property
    def downscale(self) -> int:
        """Image pixels a latent pixel, per side: 8 for SD 1.x."""
        return 2 ** (len(self.block_channels) - 1)


@dataclass(frozen=True)
class TextEncoderConfig:
    """CLIP's text transformer (ViT-L/14's text half for SD 1.x)."""

    vocab_size: int = 49408
    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    max_length: int = 77
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"


@dataclass(frozen=True)
class NoiseScheduleConfig:
    """How training mixed noise in, and what the network was taught to predict.

    Attributes:
        steps: number of training timesteps.
        beta_start: first β.
        beta_end: last β.
        beta_schedule: "scaled_linear" is linear in √β (SD 1.x), "linear" in β.
        prediction: "epsilon" (the noise) or "v" (√ᾱ·noise − √(1−ᾱ)·latents).
        zero_terminal_snr: whether the betas were rescaled so that the last timestep is noise alone (Lin et
            al. 2024), of which a network that predicts epsilon would learn nothing.
    """

    steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    prediction: Prediction = "epsilon"
    zero_terminal_snr: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: four parts, and the settings a request falls back on."""

    name: str = "sd15"
    unet: UNetConfig = field(default_factory=UNetConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    text_encoder: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    noise: NoiseScheduleConfig = field(default_factory=NoiseScheduleConfig)
    guidance_scale: float = 7.5
    sampler: str = "dpmpp_2m"

    @property
    def image_size(self) -> int:
        """Side in pixels of the pictures the model was trained on: 512 for SD 1.x."""
        return self.unet.sample_size * self.autoencoder.downscale

    @property
    def inpainting(self) -> bool:
        """Whether the UNet also reads a mask and the masked image's latents."""
        return self.unet.in_channels == 2 * self.autoencoder.latent_channels + 1


SD15 = ModelConfig()
SD15_INPAINT = replace(SD15, name="sd15-inpaint", unet=replace(SD15.unet, in_channels=9))
STORYBOOK = ModelConfig(
    name="storybook",
    unet=UNetConfig(
        block_channels=(48, 96, 160, 160),
        layers_per_block=1,
        attention_levels=(False, True, True, True),
        heads=4,
        context_dim=128,
        groups=16,
        sample_size=32,
    ),
    autoencoder=AutoencoderConfig(
        block_channels=(24, 48, 64, 64), layers_per_block=1, groups=8, scaling_factor=0.42484
    ),
    text_encoder=TextEncoderConfig(
        vocab_size=1862, width=128, layers=4, heads=4, mlp_width=512, max_length=40
    ),
    noise=NoiseScheduleConfig(prediction="v"),
    guidance_scale=3.0,
    sampler="euler_ancestral",
)

PRESETS = {config.name: config for config in (SD15, SD15_INPAINT, STORYBOOK)}
