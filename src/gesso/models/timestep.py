"""What the UNet knows of time: sinusoids of the timestep, through a small network.

Ho et al. 2020, "Denoising Diffusion Probabilistic Models", §3.3; the sinusoids are
those of Vaswani et al. 2017, §3.5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


def sinusoids(timesteps: Tensor, channels: int, max_period: float = 10000.0) -> Tensor:
    """Cosines, then sines, of the timesteps at ``channels / 2`` frequencies from 1 down to 1/max_period.

    Timesteps (b,), integer or fractional -> (b, channels) in float32.
    """
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    frequencies = torch.exp(-math.log(max_period) * exponents)  # (channels/2,)
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepEmbedding(nn.Module):
    """Sinusoids of width ``channels`` through two linear layers to width ``embedding_dim``."""

    def __init__(self, channels: int, embedding_dim: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear_1 = nn.Linear(channels, embedding_dim)
        self.linear_2 = nn.Linear(embedding_dim, embedding_dim)

    def forward(self, timesteps: Tensor) -> Tensor:
        """(b,) -> (b, embedding_dim)."""
        t = sinusoids(timesteps, self.channels).to(self.linear_1.weight.dtype)
        return self.linear_2(silu(self.linear_1(t)))
