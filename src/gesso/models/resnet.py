"""Convolutional building blocks shared by the UNet and the autoencoder.

He et al. 2016, "Identity Mappings in Deep Residual Networks", in the form of Ho et al. 2020,
"Denoising Diffusion Probabilistic Models", appendix B.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu


class ResnetBlock(nn.Module):
    """Two 3×3 convolutions, each after GroupNorm and SiLU; the time embedding is added between them.

    Args:
        in_channels, out_channels: where they differ, a 1×1 convolution carries the input across.
        time_dim: width of the time embedding; None in the autoencoder, which knows no time.
        groups, eps: of the GroupNorms (eps is 1e-5 in the UNet, 1e-6 in the autoencoder).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, time_dim: int | None, groups: int, eps: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.time_emb_proj = nn.Linear(time_dim, out_channels) if time_dim is not None else None
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        same = in_channels == out_channels
        self.conv_shortcut = None if same else nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """(b, in_channels, h, w), t (b, time_dim) -> (b, out_channels, h, w)."""
        y = self.conv1(silu(self.norm1(x)))
        if self.time_emb_proj is not None and t is not None:
            y = y + self.time_emb_proj(silu(t))[:, :, None, None]
        y = self.conv2(silu(self.norm2(y)))
        return y + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Downsample(nn.Module):
    """Halves the sides with a strided 3×3 convolution; the channels stay.

    Args:
        symmetric: pad all four sides by one (the UNet), or only right and bottom (the autoencoder).
    """

    def __init__(self, channels: int, *, symmetric: bool) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1 if symmetric else 0)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, channels, ⌈h/2⌉, ⌈w/2⌉), rounded down where not symmetric."""
        return self.conv(x if self.symmetric else pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the sides by nearest neighbour, then a 3×3 convolution; the channels stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(b, channels, h, w) -> (b, channels, 2h, 2w), or ``size`` where halving had rounded."""
        if size is None:
            size = (2 * x.shape[-2], 2 * x.shape[-1])
        return self.conv(interpolate(x, size=size, mode="nearest"))
