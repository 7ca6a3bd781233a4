"""SpatialTransformers whose 1×1 convolutions are matrix products, and GEGLUs that gate in one pass."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import linear

from gesso.engine.cuda.fused_norm import normalises
from gesso.engine.cuda.geglu import gate
from gesso.engine.cuda.launch import runs_kernels
from gesso.models.attention import GEGLU, SpatialTransformer


class TritonGEGLU(GEGLU):
    """Multiplies values with their gates' GELU as it reads them."""

    def forward(self, x: Tensor) -> Tensor:
        return gate(self.proj(x)) if runs_kernels(x, self.proj.weight) else super().forward(x)


class PointwiseSpatialTransformer(SpatialTransformer):
    """A channels-last feature map is a matrix of pixels already: what is 1×1 multiplies it as it lies."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        if not normalises(self.norm, x):
            return super().forward(x, context)
        h, w = x.shape[-2:]
        y = self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)  # (b, h·w, channels), a view
        y = linear(y, self.proj_in.weight.flatten(1), self.proj_in.bias)
        for block in self.transformer_blocks:
            y = block(y, context)
        y = linear(y, self.proj_out.weight.flatten(1), self.proj_out.bias)
        return x + y.transpose(1, 2).unflatten(2, (h, w))  # (b, channels, h, w)
