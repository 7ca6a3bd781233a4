"""Views of a UNet for guidance by its own self-attention: one that is perturbed, one that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn

from gesso.engine.view import replaced
from gesso.models.attention import CrossAttention, SpatialTransformer, TransformerBlock
from gesso.models.unet import UNet
from gesso.pipeline.layers import transformers_in

MIDDLE = "mid_block.attentions.0"


def perturbed(unet: UNet, layers: Sequence[str]) -> UNet:
    """The same network, with the same weights, where each pixel attends to itself alone.

    Args:
        layers: in which of its SpatialTransformers (`gesso.pipeline.layers`).
    """
    parts: dict[str, nn.Module] = {}
    for path in transformers_in(unet.config, layers):
        for index, block in enumerate(
            cast(SpatialTransformer, unet.get_submodule(path)).transformer_blocks
        ):
            attention = cast(TransformerBlock, block).attn1
            parts[f"{path}.transformer_blocks.{index}.attn1"] = IdentityAttention(attention)
    return replaced(unet, parts)


class IdentityAttention(nn.Module):
    """Stands for a self-attention whose map is the identity: softmax(q kᵀ / √d) v becomes v."""

    def __init__(self, attention: CrossAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, _x: Tensor, context: Tensor) -> Tensor:
        return self.attention.to_out[0](self.attention.to_v(context))


def listening(unet: UNet) -> tuple[UNet, Callable[[], Tensor]]:
    """The same network, with the same weights and results, and what its middle block looked at.

    Returns:
        The network, and a function that gives (b, h', w') of its last call: how much attention each pixel
        received from all others, on the average of the heads.
    """
    middle = cast(SpatialTransformer, unet.get_submodule(MIDDLE))
    listening = ListeningTransformer(middle)
    return replaced(unet, {MIDDLE: listening}), listening.listener.map


class ListeningTransformer(nn.Module):
    """Stands for a SpatialTransformer, whose self-attention it tells the size of the feature map."""

    def __init__(self, transformer: SpatialTransformer) -> None:
        super().__init__()
        self.listener = ListeningAttention(cast(TransformerBlock, transformer.transformer_blocks[0]).attn1)
        self.transformer = replaced(transformer, {"transformer_blocks.0.attn1": self.listener})

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        self.listener.size = (x.shape[2], x.shape[3])
        return self.transformer(x, context)


class ListeningAttention(nn.Module):
    """Stands for a self-attention, and remembers who received how much in its last call."""

    def __init__(self, attention: CrossAttention) -> None:
        super().__init__()
        self.attention = attention
        self.size: tuple[int, int] = (0, 0)
        self.received: Tensor | None = None

    def map(self) -> Tensor:
        """(b, h', w')."""
        assert self.received is not None, "the network has not been called"
        return self.received.unflatten(-1, self.size)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        layer = self.attention
        q, k = (layer.split_heads(each).float() for each in (layer.to_q(x), layer.to_k(context)))
        logits = q @ k.mT / q.shape[-1] ** 0.5  # (b, heads, h'·w', h'·w')
        self.received = logits.softmax(-1).mean(1).sum(1)  # (b, h'·w')
        return layer(x, context)
