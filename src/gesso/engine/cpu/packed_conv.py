"""Convolutions whose weights wait in the layout that oneDNN computes in.

PyTorch brings the weight into that layout at every call. Where the feature map is small, that takes longer
than the convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gesso.engine.cpu.conditions import runs_kernels
from gesso.engine.prepared import KeepsPrepared
from gesso.engine.stamp import Stamp, stamp
from gesso.weights.pages import release

reorder: Any = getattr(getattr(torch._C, "_nn", None), "mkldnn_reorder_conv2d_weight", None)

PACKS = reorder is not None and torch.backends.mkldnn.is_available()
"""Whether this build of PyTorch offers it (the compiler uses the same two functions)."""


def suits(module: nn.Module) -> bool:
    """Whether it is a convolution that packing helps."""
    return (
        PACKS
        and isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and min(module.in_channels, module.out_channels) >= 32
    )


class PackedConv2d(KeepsPrepared, nn.Conv2d):
    """Packs its weight when it is first needed, and again when it has changed."""

    prepared = ("packed",)
    packed: tuple[Stamp, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch.nn's name)
        if not (PACKS and runs_kernels(input, self.weight)):
            return super().forward(input)
        x = input.contiguous(memory_format=torch.channels_last)
        geometry = self.padding, self.stride, self.dilation, self.groups
        convolve = torch.ops.mkldnn._convolution_pointwise
        return convolve(x, self.packed_weight(x), self.bias, *geometry, "none", [], "")

    def packed_weight(self, x: Tensor) -> Tensor:
        """The weight in the layout that suits this input."""
        source = stamp(self.weight)
        known = self.packed  # read once and set at once: another thread may be drawing, too
        if known is None or known[0] != source:
            geometry = self.padding, self.stride, self.dilation, self.groups
            plain = self.weight.detach().contiguous().to_mkldnn()  # oneDNN reads rows fastest
            known = self.packed = (source, reorder(plain, *geometry, x.shape))
            release([self.weight])
        return known[1]
