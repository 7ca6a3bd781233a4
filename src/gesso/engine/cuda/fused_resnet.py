"""ResnetBlocks whose small work rides on passes over memory that are made anyway.

cuDNN's convolutions leave their bias to another kernel. Here the first one's, and the time embedding, are
added where the second norm reads; the second one's where the residual is added.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, silu

from gesso.engine.cuda.fused_norm import normalises
from gesso.engine.cuda.group_norm import group_norm
from gesso.engine.cuda.launch import is_channels_last
from gesso.engine.cuda.residual import add_bias_and_residual
from gesso.models.resnet import ResnetBlock


class TritonResnetBlock(ResnetBlock):
    """Two norms with SiLU, two convolutions without bias, and one pass that adds."""

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        if not normalises(self.norm1, x):
            return super().forward(x, t)
        y = without_bias(self.conv1, norm_silu(self.norm1, x))
        if not is_channels_last(y):  # the convolution's weight was not
            return super().forward(x, t)
        y = without_bias(self.conv2, norm_silu(self.norm2, y, self.shift(t)))
        residual = x if self.conv_shortcut is None else pointwise(self.conv_shortcut, x)
        return add_bias_and_residual(y, bias_of(self.conv2), residual)

    def shift(self, t: Tensor | None) -> Tensor:
        """What the first convolution leaves out: its bias and the time embedding, (b, c) or (1, c)."""
        bias = bias_of(self.conv1)
        if self.time_emb_proj is None or t is None:
            return bias[None]
        return self.time_emb_proj(silu(t)) + bias


def norm_silu(norm: nn.GroupNorm, x: Tensor, shift: Tensor | None = None) -> Tensor:
    return group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps, silu=True, shift=shift)


def without_bias(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)


def bias_of(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1×1 convolution of a channels-last map as a matrix product, which adds the bias as it writes."""
    pixels = x.permute(0, 2, 3, 1)  # (b, h, w, c), the order in memory
    return linear(pixels, conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)
