"""Linear layers, 1×1 convolutions and GEGLUs as products in tiles."""

from __future__ import annotations

from torch import Tensor, nn

from gesso.engine.cpu.conditions import runs_kernels
from gesso.models.attention import GEGLU

FEWEST_ROWS = 64
"""Below, laying out the weights takes longer than it saves."""

NUMBERS, COLUMNS = 8, 32
"""What the numbers of a row and the columns of a product come in multiples of, on every processor."""


def suits(module: nn.Module) -> bool:
    """Whether the kernels know a layer's size."""
    if isinstance(module, nn.Linear):
        return module.in_features % NUMBERS == 0 and module.out_features % COLUMNS == 0
    if isinstance(module, GEGLU):
        return module.proj.in_features % NUMBERS == 0 and module.proj.out_features % (2 * COLUMNS) == 0
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == module.stride == (1, 1)
        and module.padding == (0, 0)
        and module.groups == 1
        and module.in_channels % NUMBERS == 0
        and module.out_channels % COLUMNS == 0
    )


def runs_tiles(x: Tensor, channels: int, weight: Tensor) -> bool:
    """Whether the kernels can stand in, and there are rows enough."""
    return x.numel() >= FEWEST_ROWS * channels and runs_kernels(x, weight)


class TiledLinear(nn.Linear):
    """Computes in tiles that stay in registers and caches."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch.nn's name)
        if not runs_tiles(input, self.in_features, self.weight):
            return super().forward(input)
        from gesso.engine.cpu.products import linear

        return linear(input, self.weight, self.bias)


class TiledPointwiseConv2d(nn.Conv2d):
    """A 1×1 convolution: a linear layer of every pixel's channels."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch.nn's name)
        if not runs_tiles(input, self.in_channels, self.weight):
            return super().forward(input)
        from gesso.engine.cpu.products import linear

        pixels = input.permute(0, 2, 3, 1)  # (b, h, w, in)
        return linear(pixels, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class TiledGEGLU(GEGLU):
    """Gates the values of a block of rows while they are in the cache."""

    def forward(self, x: Tensor) -> Tensor:
        if not runs_tiles(x, self.proj.in_features, self.proj.weight):
            return super().forward(x)
        from gesso.engine.cpu.products import gated_linear

        return gated_linear(x, self.proj.weight, self.proj.bias)
