"""The autoencoder: images to latents and latents to images.

Kingma & Welling 2014, "Auto-Encoding Variational Bayes"; the network is that of Rombach et al. 2022,
"High-Resolution Image Synthesis with Latent Diffusion Models", appendix G. Latents are always scaled
(× scaling_factor), so that they have about unit variance.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from gesso.config import AutoencoderConfig
from gesso.models.resnet import Downsample, ResnetBlock, Upsample

NORM_EPS = 1e-6


class Posterior(NamedTuple):
    """The Gaussian an image is encoded to, before scaling: (b, latent_channels, h/8, w/8) each."""

    mean: Tensor
    log_variance: Tensor


class Autoencoder(nn.Module):
    """Image (b, 3, h, w) in [-1, 1] <-> latents (b, 4, h/8, w/8); the 8 is ``config.downscale``."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        latents = config.latent_channels
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = nn.Conv2d(2 * latents, 2 * latents, kernel_size=1)
        self.post_quant_conv = nn.Conv2d(latents, latents, kernel_size=1)

    def posterior(self, image: Tensor) -> Posterior:
        """Image (b, 3, h, w) -> the Gaussian of its unscaled latents."""
        mean, log_variance = self.quant_conv(self.encoder(image)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-30.0, 20.0))

    def encode(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """Image (b, 3, h, w) in [-1, 1] -> latents (b, 4, h/8, w/8).

        Args:
            noise: standard normal, of the latents' shape, draws from the posterior; None takes its mean.
        """
        mean, log_variance = self.posterior(image)
        if noise is not None:
            mean = mean + torch.exp(0.5 * log_variance) * noise
        return mean * self.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (b, 4, h/8, w/8) -> image (b, 3, h, w), about in [-1, 1] (not clamped)."""
        return self.decoder(self.post_quant_conv(latents / self.config.scaling_factor))


class Encoder(nn.Module):
    """Image -> mean and log-variance, one after the other in the channels."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        first, last = config.block_channels[0], config.block_channels[-1]
        widths = (first, *config.block_channels)
        levels = len(config.block_channels)

        self.conv_in = nn.Conv2d(config.image_channels, first, kernel_size=3, padding=1)
        self.down_blocks = nn.ModuleList(
            EncoderBlock(config, below, above, downsample=level < levels - 1)
            for level, (below, above) in enumerate(pairwise(widths))
        )
        self.mid_block = MidBlock(config, last)
        self.conv_norm_out = nn.GroupNorm(config.groups, last, eps=NORM_EPS)
        self.conv_out = nn.Conv2d(last, 2 * config.latent_channels, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv_in(image)  # (b, 128, h, w)
        for block in self.down_blocks:
            x = block(x)
        x = self.mid_block(x)  # (b, 512, h/8, w/8)
        return self.conv_out(silu(self.conv_norm_out(x)))  # (b, 8, h/8, w/8)


class Decoder(nn.Module):
    """Unscaled latents -> image."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        coarse_to_fine = config.block_channels[::-1]
        first, last = coarse_to_fine[0], coarse_to_fine[-1]
        widths = (first, *coarse_to_fine)
        levels = len(coarse_to_fine)

        self.conv_in = nn.Conv2d(config.latent_channels, first, kernel_size=3, padding=1)
        self.mid_block = MidBlock(config, first)
        self.up_blocks = nn.ModuleList(
            DecoderBlock(config, below, above, upsample=level < levels - 1)
            for level, (below, above) in enumerate(pairwise(widths))
        )
        self.conv_norm_out = nn.GroupNorm(config.groups, last, eps=NORM_EPS)
        self.conv_out = nn.Conv2d(last, config.image_channels, kernel_size=3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.conv_in(latents)  # (b, 512, h/8, w/8)
        x = self.mid_block(x)
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(silu(self.conv_norm_out(x)))  # (b, 3, h, w)


class EncoderBlock(nn.Module):
    """One level: ResnetBlocks, then a Downsample."""

    def __init__(
        self, config: AutoencoderConfig, in_channels: int, channels: int, *, downsample: bool
    ) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * (config.layers_per_block - 1)
        self.resnets = nn.ModuleList(resnet_block(config, width, channels) for width in widths)
        self.downsamplers = nn.ModuleList([Downsample(channels, symmetric=False)] if downsample else [])

    def forward(self, x: Tensor) -> Tensor:
        """(b, in_channels, h, w) -> (b, channels, h/2, w/2)."""
        for layer in (*self.resnets, *self.downsamplers):
            x = layer(x)
        return x


class DecoderBlock(nn.Module):
    """One level: ResnetBlocks (one more than in the encoder), then an Upsample."""

    def __init__(
        self, config: AutoencoderConfig, in_channels: int, channels: int, *, upsample: bool
    ) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * config.layers_per_block
        self.resnets = nn.ModuleList(resnet_block(config, width, channels) for width in widths)
        self.upsamplers = nn.ModuleList([Upsample(channels)] if upsample else [])

    def forward(self, x: Tensor) -> Tensor:
        """(b, in_channels, h, w) -> (b, channels, 2h, 2w)."""
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


class MidBlock(nn.Module):
    """The bottom of encoder and decoder: ResnetBlock, self-attention, ResnetBlock."""

    def __init__(self, config: AutoencoderConfig, channels: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnet_block(config, channels, channels) for _ in range(2))
        self.attentions = nn.ModuleList([SelfAttention(channels, config.groups)])

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, channels, h, w)."""
        x = self.resnets[0](x)
        x = self.attentions[0](x)
        return self.resnets[1](x)


class SelfAttention(nn.Module):
    """Single-head attention among the pixels of a feature map, added back."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=NORM_EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, channels, h, w)."""
        h, w = x.shape[-2:]
        y = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]  # (b, 1, h·w, channels)
        y = scaled_dot_product_attention(self.to_q(y), self.to_k(y), self.to_v(y))
        y = self.to_out[0](y[:, 0]).transpose(1, 2).unflatten(2, (h, w))  # (b, channels, h, w)
        return x + y


def resnet_block(config: AutoencoderConfig, in_channels: int, out_channels: int) -> ResnetBlock:
    return ResnetBlock(in_channels, out_channels, time_dim=None, groups=config.groups, eps=NORM_EPS)
