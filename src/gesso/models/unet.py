"""The UNet: (latents, timesteps, context) -> model output. Down, middle and up on one page.

Ronneberger et al. 2015, "U-Net"; Rombach et al. 2022, "High-Resolution Image Synthesis with Latent
Diffusion Models". On the way down each level keeps every layer's output; on the way up each
ResnetBlock reads its input concatenated with the latest output not yet read. So there is one
ResnetBlock more a level on the way up: it reads what the Downsample of the level above put out.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gesso.config import UNetConfig
from gesso.models.attention import SpatialTransformer
from gesso.models.resnet import Downsample, ResnetBlock, Upsample
from gesso.models.timestep import TimestepEmbedding

NORM_EPS = 1e-5


class UNet(nn.Module):
    """Predicts the noise in latents (or v, as it was trained), given the timestep and the context."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.block_channels[0], config.block_channels[-1]

        self.conv_in = nn.Conv2d(config.in_channels, first, kernel_size=3, padding=1)
        self.time_embedding = TimestepEmbedding(first, config.time_embedding_dim)
        self.down_blocks = nn.ModuleList(down_blocks(config))
        self.mid_block = MidBlock(config, last)
        self.up_blocks = nn.ModuleList(up_blocks(config))
        self.conv_norm_out = nn.GroupNorm(config.groups, first, eps=NORM_EPS)
        self.conv_out = nn.Conv2d(first, config.out_channels, kernel_size=3, padding=1)

    def forward(self, latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        """One call of the network. Shapes in the comments are those of SD 1.x.

        Args:
            latents: (b, in_channels, h, w), any h and w.
            timesteps: (b,), training indices from 0 to 999, fractions allowed.
            context: (b, n, context_dim), the text encoder's hidden states.

        Returns:
            (b, out_channels, h, w), what the model was trained to predict.
        """
        t = self.time_embedding(timesteps)  # (b, 1280)
        x = self.conv_in(latents)  # (b, 320, h, w)
        skips = [x]
        for block in self.down_blocks:
            x = block(x, t, context, skips)  # appends each layer's output
        x = self.mid_block(x, t, context)  # (b, 1280, h/8, w/8)
        for block in self.up_blocks:
            x = block(x, t, context, skips)  # each ResnetBlock reads cat(x, skips.pop())
        return self.conv_out(silu(self.conv_norm_out(x)))  # (b, 4, h, w)


class DownBlock(nn.Module):
    """One level on the way down: ResnetBlocks, each with its SpatialTransformer, then a Downsample."""

    def __init__(
        self, config: UNetConfig, in_channels: int, channels: int, *, attention: bool, downsample: bool
    ) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * (config.layers_per_block - 1)
        self.resnets = nn.ModuleList(resnet_block(config, width, channels) for width in widths)
        self.attentions = nn.ModuleList(spatial_transformer(config, channels) for _ in widths if attention)
        self.downsamplers = nn.ModuleList([Downsample(channels, symmetric=True)] if downsample else [])

    def forward(self, x: Tensor, t: Tensor, context: Tensor, skips: list[Tensor]) -> Tensor:
        """(b, in_channels, h, w) -> (b, channels, h/2, w/2); appends each layer's output to ``skips``."""
        for index, resnet in enumerate(self.resnets):
            x = resnet(x, t)
            if self.attentions:
                x = self.attentions[index](x, context)
            skips.append(x)
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return x


class MidBlock(nn.Module):
    """The bottom: ResnetBlock, SpatialTransformer, ResnetBlock."""

    def __init__(self, config: UNetConfig, channels: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnet_block(config, channels, channels) for _ in range(2))
        self.attentions = nn.ModuleList([spatial_transformer(config, channels)])

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, channels, h, w)."""
        x = self.resnets[0](x, t)
        x = self.attentions[0](x, context)
        return self.resnets[1](x, t)


class UpBlock(nn.Module):
    """One level on the way up: ResnetBlocks that also read the skips, transformers, then an Upsample.

    Args:
        in_channels: of the level below.
        skip_channels: of the skip each ResnetBlock reads, in the order of reading.
    """

    def __init__(
        self,
        config: UNetConfig,
        in_channels: int,
        channels: int,
        skip_channels: list[int],
        *,
        attention: bool,
        upsample: bool,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * config.layers_per_block
        self.resnets = nn.ModuleList(
            resnet_block(config, width + skip, channels)
            for width, skip in zip(widths, skip_channels, strict=True)
        )
        self.attentions = nn.ModuleList(spatial_transformer(config, channels) for _ in widths if attention)
        self.upsamplers = nn.ModuleList([Upsample(channels)] if upsample else [])

    def forward(self, x: Tensor, t: Tensor, context: Tensor, skips: list[Tensor]) -> Tensor:
        """(b, in_channels, h, w) -> (b, channels, 2h, 2w); takes what it reads off the end of ``skips``."""
        for index, resnet in enumerate(self.resnets):
            x = resnet(torch.cat([x, skips.pop()], dim=1), t)
            if self.attentions:
                x = self.attentions[index](x, context)
        for upsample in self.upsamplers:
            height, width = skips[-1].shape[-2:]
            x = upsample(x, (height, width))
        return x


def down_blocks(config: UNetConfig) -> list[DownBlock]:
    """The levels from fine to coarse; the last one does not halve."""
    widths = (config.block_channels[0], *config.block_channels)
    last = len(config.block_channels) - 1
    return [
        DownBlock(config, below, above, attention=config.attention_levels[level], downsample=level < last)
        for level, (below, above) in enumerate(pairwise(widths))
    ]


def up_blocks(config: UNetConfig) -> list[UpBlock]:
    """The levels from coarse to fine; the finest one does not double."""
    blocks, skips = [], skip_channels(config)
    width = config.block_channels[-1]
    for level in reversed(range(len(config.block_channels))):
        channels = config.block_channels[level]
        read = [skips.pop() for _ in range(config.layers_per_block + 1)]
        attention = config.attention_levels[level]
        blocks.append(UpBlock(config, width, channels, read, attention=attention, upsample=level > 0))
        width = channels
    return blocks


def skip_channels(config: UNetConfig) -> list[int]:
    """Channels of every skip, in the order in which the way down leaves them."""
    channels = [config.block_channels[0]]
    last = len(config.block_channels) - 1
    for level, width in enumerate(config.block_channels):
        channels += [width] * (config.layers_per_block + (level < last))
    return channels


def resnet_block(config: UNetConfig, in_channels: int, out_channels: int) -> ResnetBlock:
    time_dim = config.time_embedding_dim
    return ResnetBlock(in_channels, out_channels, time_dim=time_dim, groups=config.groups, eps=NORM_EPS)


def spatial_transformer(config: UNetConfig, channels: int) -> SpatialTransformer:
    return SpatialTransformer(channels, config.context_dim, config.heads, config.groups)
