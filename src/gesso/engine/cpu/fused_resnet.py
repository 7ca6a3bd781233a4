"""ResnetBlocks and Upsamples that hand work to the kernels around them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu

from gesso.engine.cpu.conditions import runs_kernels
from gesso.engine.cpu.winograd_conv import WinogradConv2d
from gesso.models.resnet import ResnetBlock, Upsample


class FusedResnetBlock(ResnetBlock):
    """Normalises and applies SiLU in one go, and lets the convolution add the time embedding."""

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        if not runs_kernels(x, self.norm1.weight):
            return super().forward(x, t)
        shift = None if self.time_emb_proj is None or t is None else self.time_emb_proj(silu(t))
        y = convolve(self.conv1, norm_silu(self.norm1, x), shift)
        y = self.conv2(norm_silu(self.norm2, y))
        return y.add_(x if self.conv_shortcut is None else self.conv_shortcut(x))


class FusedUpsample(Upsample):
    """Convolves the enlarged feature map without making it."""

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        doubles = size in (None, (2 * x.shape[-2], 2 * x.shape[-1]))
        if doubles and isinstance(self.conv, WinogradConv2d):
            return self.conv.convolve(x, doubled=True)
        return super().forward(x, size)


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    from gesso.engine.cpu.group_norm import group_norm_silu

    return group_norm_silu(x, norm.num_groups, norm.weight, norm.bias, norm.eps)


def convolve(conv: nn.Conv2d, x: Tensor, shift: Tensor | None) -> Tensor:
    """A convolution whose result is shifted by (b, c), or (1, c), in every pixel."""
    if isinstance(conv, WinogradConv2d):
        return conv.convolve(x, shift=shift)
    y = conv(x)
    return y if shift is None else y.add_(shift[:, :, None, None])
