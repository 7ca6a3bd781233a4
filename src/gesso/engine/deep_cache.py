"""The deep layers of a UNet every few calls only. Lossy: it changes the picture.

Ma, Fang and Wang 2024, "DeepCache: Accelerating Diffusion Models for Free", §3.2 and 3.3 (uniform 1:N,
at the outermost skip). What the deep layers say changes slowly from step to step. So most calls compute
only the first convolution and the last layer of the way up, which reads it, and take from an earlier call
what that layer reads of the rest.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import silu

from gesso.models.unet import UNet, UpBlock


class DeepCache:
    """Calls a UNet for one batch, and computes its deep layers at every N-th call.

    Args:
        unet: stays as it is; what is kept between calls is kept here.
        every: N; 1 computes everything at every call.
    """

    def __init__(self, unet: UNet, every: int) -> None:
        self.unet = unet
        self.last = cast(UpBlock, unet.up_blocks[-1])
        self.every = every
        self.age = 0
        self.deep: Tensor | None = None

    def __call__(self, latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        """As the UNet itself: latents (b, c, h, w), timesteps (b,), context (b, n, d) -> (b, 4, h, w)."""
        unet = self.unet
        t = unet.time_embedding(timesteps)  # (b, 1280)
        x = unet.conv_in(latents)  # (b, 320, h, w)
        if self.deep is None or self.age >= self.every or len(self.deep) != len(x):
            self.deep, self.age = self.compute_deep(x, t, context), 0
        self.age += 1
        x = climb(self.last, -1, self.deep, x, t, context)
        return unet.conv_out(silu(unet.conv_norm_out(x)))

    def compute_deep(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """What the last layer reads beside the first convolution's output: (b, 320, h, w)."""
        skips = [x]
        for block in self.unet.down_blocks:
            x = block(x, t, context, skips)
        x = self.unet.mid_block(x, t, context)
        for block in self.unet.up_blocks[:-1]:
            x = block(x, t, context, skips)
        for layer in range(len(self.last.resnets) - 1):
            x = climb(self.last, layer, x, skips.pop(), t, context)
        return x


def climb(block: UpBlock, layer: int, x: Tensor, skip: Tensor, t: Tensor, context: Tensor) -> Tensor:
    """One layer of a level on the way up."""
    x = block.resnets[layer](torch.cat([x, skip], dim=1), t)
    return block.attentions[layer](x, context) if block.attentions else x
