"""3×3 convolutions that take Winograd's way where the feature map is large enough."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

from gesso.engine.cpu.conditions import runs_kernels
from gesso.engine.cpu.packed_conv import PackedConv2d
from gesso.engine.stamp import Stamp, stamp
from gesso.weights.pages import release

SMALLEST_MAPS = {4: 32, 2: 16}
"""Tile -> side of the feature maps from which it pays. On smaller ones the many, thin matrix products of
large tiles are slow, and their weights (four times as large; 16/9 times with tiles of two) cost memory."""

FEWEST_CHANNELS = 32
"""Below, transforming tiles costs more than the products save."""


def suits(conv: nn.Conv2d) -> bool:
    """Whether Winograd's algorithm computes this convolution, and faster on large maps."""
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == conv.dilation == (1, 1)
        and conv.padding == (1, 1)
        and conv.padding_mode == "zeros"
        and conv.groups == 1
        and conv.bias is not None
        and min(conv.in_channels, conv.out_channels) >= FEWEST_CHANNELS
    )


class WinogradConv2d(PackedConv2d):
    """A 3×3 convolution that takes Winograd's way where that is faster, and else the direct one.

    The transformed weight is made when first needed, and again when the weight has changed.
    """

    prepared = ("packed", "transformed")
    transformed: tuple[int, Stamp, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch.nn's name)
        return self.convolve(input)

    def convolve(self, x: Tensor, *, doubled: bool = False, shift: Tensor | None = None) -> Tensor:
        """(b, in, h, w) -> (b, out, h, w), or (b, out, 2h, 2w) of the nearest-neighbour enlargement.

        Args:
            shift: (b, out) or (1, out), added to every pixel of a picture.
        """
        bias = self.bias if shift is None or self.bias is None else self.bias + shift
        side = min(x.shape[-2:]) * (2 if doubled else 1)
        tile = next((tile for tile, smallest in SMALLEST_MAPS.items() if side >= smallest), None)
        if tile and bias is not None and runs_kernels(x, self.weight):
            from gesso.engine.cpu import winograd

            return winograd.conv3x3(x, self.winograd_weight(tile), bias, doubled=doubled)
        if doubled:
            x = interpolate(x, scale_factor=2.0, mode="nearest")
        y = super().forward(x)
        return y if shift is None else y + shift[:, :, None, None]

    def winograd_weight(self, tile: int) -> Tensor:
        """The weight in the transformed domain, ((tile + 2)², in, out)."""
        from gesso.engine.cpu import winograd

        source = stamp(self.weight)
        known = self.transformed  # read once and set at once: another thread may be drawing, too
        if known is None or known[:2] != (tile, source):
            known = self.transformed = None  # not two at a time
            known = (tile, source, winograd.transform_weight(self.weight.detach(), tile))
            self.transformed = known
            release([self.weight])
        return known[2]
