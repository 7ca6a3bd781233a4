"""A view of a UNet whose cross-attentions tell what they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from gesso.engine.view import replaced
from gesso.models.attention import CrossAttention, TransformerBlock

Model = TypeVar("Model", bound=nn.Module)

Watch = Callable[[CrossAttention, Tensor, Tensor], object]
"""Told of a layer, of its pixels (b, n, channels) and of the context (b, m, context_dim) they look at."""

BLOCK = 2**22
"""Probabilities that `attention_on` holds at a time; 16 MB."""


def watched(unet: Model, watch: Watch) -> Model:
    """The same network, with the same weights and results, that tells of each of its cross-attentions."""
    parts: dict[str, nn.Module] = {
        f"{path}.attn2": WatchedAttention(block.attn2, watch)
        for path, block in unet.named_modules()
        if isinstance(block, TransformerBlock)
    }
    return replaced(unet, parts)


class WatchedAttention(nn.Module):
    """Stands for a cross-attention, computes as that one does, and tells what it is given."""

    def __init__(self, attention: CrossAttention, watch: Watch) -> None:
        super().__init__()
        self.attention = attention
        self.watch = watch

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        self.watch(self.attention, x, context)
        return self.attention(x, context)


def attention_on(layer: CrossAttention, x: Tensor, context: Tensor, groups: Tensor) -> Tensor:
    """How much of each pixel's attention goes to groups of the context's rows, on the average of the heads.

    Fast attentions never have softmax(q kᵀ / √d) in memory, so it is computed here, some queries at a time.

    Args:
        x: (n, channels) pixels.
        context: (m, context_dim).
        groups: (m, g) float32; 1 where a row belongs to a group, else 0.

    Returns:
        (g, n) float32, 0…1.
    """
    q = layer.split_heads(layer.to_q(x)[None])[0].float()  # (heads, n, d)
    k = layer.split_heads(layer.to_k(context)[None])[0].float()  # (heads, m, d)
    q = q / q.shape[-1] ** 0.5
    queries = max(1, BLOCK // (len(q) * len(context)))
    parts = ((part @ k.mT).softmax(-1).mean(0) @ groups for part in q.split(queries, dim=1))  # (·, g)
    return torch.cat([*parts]).T
