"""Attention as the UNet uses it: among the pixels of a feature map, and from pixels to the context.

Vaswani et al. 2017, "Attention Is All You Need"; Rombach et al. 2022, "High-Resolution Image Synthesis
with Latent Diffusion Models", §3.3 and appendix E.2.1.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention


class CrossAttention(nn.Module):
    """Multi-head attention from ``x`` to ``context``; self-attention where the context is ``x`` itself.

    Args:
        channels: width of ``x`` and of the output.
        context_dim: width of the context.
        heads: number of heads; each is ``channels // heads`` wide.
    """

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_dim, channels, bias=False)
        self.to_v = nn.Linear(context_dim, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(b, n, channels) reads (b, m, context_dim) -> (b, n, channels)."""
        q = self.split_heads(self.to_q(x))  # (b, heads, n, channels/heads)
        k = self.split_heads(self.to_k(context))  # (b, heads, m, channels/heads)
        v = self.split_heads(self.to_v(context))
        x = scaled_dot_product_attention(q, k, v)  # softmax(q kᵀ / √(channels/heads)) v
        return self.to_out[0](x.transpose(1, 2).flatten(2))  # (b, n, channels)

    def split_heads(self, x: Tensor) -> Tensor:
        """(b, n, channels) -> (b, heads, n, channels/heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class GEGLU(nn.Module):
    """A linear layer gated by another one's GELU (Shazeer 2020, "GLU Variants Improve Transformer")."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * gelu(gate)  # (b, n, hidden)


class FeedForward(nn.Module):
    """Two linear layers around a GEGLU, four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        # The identity stands where training had a dropout, to keep the published names net.0 and net.2.
        self.net = nn.Sequential(GEGLU(channels, hidden), nn.Identity(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward; each after a LayerNorm, each added back."""

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = CrossAttention(channels, channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = CrossAttention(channels, context_dim, heads)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(b, n, channels), context (b, m, context_dim) -> (b, n, channels)."""
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A TransformerBlock over the pixels of a feature map, between two 1×1 convolutions, added back."""

    def __init__(self, channels: int, context_dim: int, heads: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, kernel_size=1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context_dim, heads)])
        self.proj_out = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(b, channels, h, w), context (b, m, context_dim) -> (b, channels, h, w)."""
        h, w = x.shape[-2:]
        y = self.proj_in(self.norm(x))
        y = y.flatten(2).transpose(1, 2)  # (b, h·w, channels)
        for block in self.transformer_blocks:
            y = block(y, context)
        y = y.transpose(1, 2).unflatten(2, (h, w))  # (b, channels, h, w)
        return x + self.proj_out(y)
