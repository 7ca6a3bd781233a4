"""The text encoder: tokens to hidden states, the text half of CLIP.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", §2.4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from gesso.config import TextEncoderConfig


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU, x · sigmoid(1.702 x) (Hendrycks & Gimpel 2016, §2)."""
    return x * torch.sigmoid(1.702 * x)


class TextEncoder(nn.Module):
    """A causal transformer over the tokens of a prompt."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = TextTransformer(config)

    def forward(self, tokens: Tensor, skip_layers: int = 0, visible: Tensor | None = None) -> Tensor:
        """Encode tokens.

        Args:
            tokens: (b, n) int64, n ≤ max_length, start and end tokens included.
            skip_layers: leave out that many of the last layers; the final LayerNorm still follows.
            visible: (b, n) bool, which tokens may be looked at; None is all. The first always must be.

        Returns:
            (b, n, width), what cross-attention reads as its context.
        """
        return self.text_model(tokens, skip_layers, visible)


class TextTransformer(nn.Module):
    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = LayerStack(config)
        self.final_layer_norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor, skip_layers: int, visible: Tensor | None) -> Tensor:
        x = self.embeddings(tokens)  # (b, n, width)
        x = self.encoder(x, skip_layers, visible)
        return self.final_layer_norm(x)


class Embeddings(nn.Module):
    """A learned vector a token plus a learned vector a position."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.position_embedding = nn.Embedding(config.max_length, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, n) -> (b, n, width)."""
        return self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]


class LayerStack(nn.Module):
    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, skip_layers: int, visible: Tensor | None) -> Tensor:
        for layer in self.layers[: len(self.layers) - skip_layers]:
            x = layer(x, visible)
        return x


class EncoderLayer(nn.Module):
    """Causal self-attention and a two-layer network; each after a LayerNorm, each added back."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width)
        self.self_attn = CausalSelfAttention(config.width, config.heads)
        self.layer_norm2 = nn.LayerNorm(config.width)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """(b, n, width) and (b, n) -> (b, n, width)."""
        x = x + self.self_attn(self.layer_norm1(x), visible)
        return x + self.mlp(self.layer_norm2(x))


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a token sees itself and those before it, as far as they are visible."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """(b, n, width) and (b, n) -> (b, n, width)."""
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (b, heads, n, width/heads)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if visible is None:
            x = scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            mask = visible[:, None, None, :].expand(-1, -1, x.shape[1], -1).tril()  # (b, 1, n, n)
            x = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(x.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.activation = quick_gelu if config.activation == "quick_gelu" else gelu
        self.fc1 = nn.Linear(config.width, config.mlp_width)
        self.fc2 = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))
