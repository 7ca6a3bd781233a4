"""Attentions that go block by block through keys and queries."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from gesso.engine.cached_context import CachedCrossAttention
from gesso.engine.cpu.conditions import runs_kernels
from gesso.models.attention import CrossAttention


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v, by the kernel if it can stand in: (b, heads, n, d) and (b, heads, m, d)."""
    same_heads = q.shape[:2] == k.shape[:2] and k.shape == v.shape and q.shape[3] == k.shape[3]
    suits = same_heads and q.shape[3] % 8 == 0 and q.numel() > 0 and k.numel() > 0
    if not (suits and runs_kernels(q, k, v)):
        return scaled_dot_product_attention(q, k, v)
    from gesso.engine.cpu import attention

    return attention.attend(q, k, v)


class TiledCrossAttention(CrossAttention):
    """Reads queries, keys and values where the linear layers left them."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        x = attend(*map(self.split_heads, (q, k, v)))  # (b, heads, n, channels/heads)
        return self.to_out[0](x.transpose(1, 2).flatten(2))


class TiledCachedCrossAttention(CachedCrossAttention):
    """Reads remembered keys and values block by block."""

    attend = staticmethod(attend)
