"""What both halves of a guided batch have in common is computed once.

Guidance asks for the same latents under two contexts. Up to the first cross-attention nothing depends on
the context: the first convolution, the first ResnetBlock and the first self-attention, which is one of
the five largest, see half a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import silu

from gesso.models.attention import SpatialTransformer, TransformerBlock
from gesso.models.unet import UNet


class SharedPrefixUNet(UNet):
    """Sees that the halves of a batch are the same latents, and begins with one of them."""

    def forward(self, latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        if not self.shares(latents, timesteps):
            return super().forward(latents, timesteps, context)
        t = self.time_embedding(timesteps[:1])  # (1, 1280): the same for all
        x = self.conv_in(latents[: len(latents) // 2])  # (b/2, 320, h, w)
        skips = [torch.cat([x, x])]
        for block in self.down_blocks:
            x = block(x, t, context, skips)  # the first transformer doubles the batch
        x = self.mid_block(x, t, context)
        for block in self.up_blocks:
            x = block(x, t, context, skips)
        return self.conv_out(silu(self.conv_norm_out(x)))

    def shares(self, latents: Tensor, timesteps: Tensor) -> bool:
        first, second = latents.tensor_split(2)
        attends = self.config.attention_levels[0] and len(latents) > 1
        return attends and torch.equal(first, second) and bool((timesteps == timesteps[0]).all())


class SharedPrefixTransformer(SpatialTransformer):
    """Adds its result to both halves where it was given one."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # (b, h·w, channels)
        for block in self.transformer_blocks:
            y = block(y, context)
        y = y.transpose(1, 2).unflatten(2, (h, w))
        return repeat_for(context, x) + self.proj_out(y)


class SharedPrefixBlock(TransformerBlock):
    """Attends to itself before it multiplies for the contexts."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        y = self.norm1(x)
        x = repeat_for(context, x + self.attn1(y, y))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


def repeat_for(context: Tensor, x: Tensor) -> Tensor:
    """As many of ``x`` as of the context, one copy after the other."""
    return x if len(x) == len(context) else torch.cat([x] * (len(context) // len(x)))
