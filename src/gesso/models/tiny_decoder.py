"""A decoder of a few convolutions, distilled from the autoencoder's: latents -> image in a moment.

Ollin Boer Bohan 2023, "Tiny AutoEncoder for Stable Diffusion" (github.com/madebyollin/taesd).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

CHANNELS = 64
BLOCKS_A_LEVEL = 3
UPSAMPLES = 3


class TinyDecoder(nn.Module):
    """Latents (b, 4, h, w), scaled, as the UNet reads them -> image (b, 3, 8h, 8w) in about [-1, 1]."""

    def __init__(self, latent_channels: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, CHANNELS, 3, padding=1), nn.ReLU()]
        for _ in range(UPSAMPLES):
            layers += (TinyBlock() for _ in range(BLOCKS_A_LEVEL))
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)]
        layers += [TinyBlock(), nn.Conv2d(CHANNELS, 3, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        x = torch.tanh(latents / 3) * 3  # as large as latents get, softly
        return self.layers(x) * 2 - 1


class TinyBlock(nn.Module):
    """Three convolutions, added back."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.conv(x) + x)
