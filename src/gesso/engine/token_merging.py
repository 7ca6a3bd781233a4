"""Self-attention among fewer tokens: similar ones attend as one. Lossy: it changes the picture.

Bolya and Hoffman 2023, "Token Merging for Fast Stable Diffusion", §3 and 4: in every block of two by two
pixels one token, drawn at random, stays; of the others those most similar to one of these are merged with
it before self-attention, and get its answer after. Only where the feature map is largest, which is where
attention costs most; nothing else of the network sees fewer tokens. Compared are the tokens as attention
reads them, after the LayerNorm; the authors' code compares them before it.

What is drawn is the same for every picture and every seed, so a picture is the same alone or in a batch, up
to rounding: where two similarities are all but equal, that can merge another pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from gesso.engine.view import replaced
from gesso.models.attention import CrossAttention, SpatialTransformer, TransformerBlock
from gesso.models.unet import UNet

STRIDE = 2
"""Side of the blocks of which one token stays."""

MOST = 1 - 1 / STRIDE**2
"""The largest share of all tokens that can be merged away."""

PORTION = 1024
"""Tokens whose similarities to those that stay are in memory at a time."""


def merging_tokens(unet: UNet, ratio: float) -> UNet:
    """The same network, with the same weights, whose largest self-attentions see fewer tokens.

    It is for one walk: the random choices go on from call to call.

    Args:
        unet: stays as it is.
        ratio: the share of tokens that are merged away, 0…0.75; 0 gives the network itself.
    """
    levels = unet.config.attention_levels
    if ratio == 0 or not any(levels):
        return unet
    finest = levels.index(True)
    choice = torch.Generator().manual_seed(0)
    parts: dict[str, nn.Module] = {}
    for block in (f"down_blocks.{finest}", f"up_blocks.{len(levels) - 1 - finest}"):
        for layer, transformer in enumerate(cast(nn.ModuleList, unet.get_submodule(f"{block}.attentions"))):
            part = MergingTransformer(cast(SpatialTransformer, transformer), ratio, choice)
            parts[f"{block}.attentions.{layer}"] = part
    return replaced(unet, parts)


class MergingTransformer(nn.Module):
    """Stands for a SpatialTransformer, and tells its self-attentions how the tokens lie."""

    def __init__(self, transformer: SpatialTransformer, ratio: float, choice: torch.Generator) -> None:
        super().__init__()
        attentions = {
            f"transformer_blocks.{index}.attn1": MergingAttention(attention, ratio, choice)
            for index, block in enumerate(transformer.transformer_blocks)
            if isinstance(attention := cast(TransformerBlock, block).attn1, CrossAttention)
        }
        self.attentions = list(attentions.values())
        self.transformer = replaced(transformer, attentions)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(b, channels, h, w), context (b, m, context_dim) -> (b, channels, h, w)."""
        for attention in self.attentions:
            attention.size = (x.shape[2], x.shape[3])
        return self.transformer(x, context)


class MergingAttention(nn.Module):
    """Stands for a self-attention, which sees the merged tokens only."""

    def __init__(self, attention: CrossAttention, ratio: float, choice: torch.Generator) -> None:
        super().__init__()
        self.attention, self.ratio, self.choice = attention, ratio, choice
        self.size: tuple[int, int] = (0, 0)

    def forward(self, x: Tensor, _context: Tensor) -> Tensor:
        """(b, h·w, channels), which is its own context -> (b, h·w, channels)."""
        stay, others = draw_tokens(*self.size, self.choice)
        count = min(round(self.ratio * x.shape[1]), len(others)) if len(stay) else 0
        if not count:
            return self.attention(x, x)
        merging = merge_similar(x, stay.to(x.device), others.to(x.device), count)
        y = merging.merge(x)
        return merging.unmerge(self.attention(y, y))


@dataclass(frozen=True, eq=False)
class Merging:
    """Which tokens become one.

    Attributes:
        into: (b, n), the merged token that each one becomes part of.
        count: of merged tokens.
    """

    into: Tensor
    count: int

    def merge(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, count, c), the means."""
        rows = self.rows()
        sums = x.new_zeros(len(x) * self.count, x.shape[2]).index_add_(0, rows, x.flatten(0, 1))
        sizes = x.new_zeros(len(sums)).index_add_(0, rows, x.new_ones(len(rows)))
        return (sums / sizes[:, None]).unflatten(0, (len(x), self.count))

    def unmerge(self, y: Tensor) -> Tensor:
        """(b, count, c) -> (b, n, c)."""
        return y.flatten(0, 1).index_select(0, self.rows()).unflatten(0, self.into.shape)

    def rows(self) -> Tensor:
        """Where each token goes among the merged ones of all pictures, (b·n,)."""
        firsts = torch.arange(len(self.into), device=self.into.device) * self.count
        return (self.into + firsts[:, None]).flatten()


def draw_tokens(height: int, width: int, choice: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which tokens of a feature map stay, one in each whole block, and which are left, row by row."""
    down, across = height // STRIDE, width // STRIDE
    drawn = torch.randint(STRIDE**2, (down, across), generator=choice)
    y = torch.arange(down)[:, None] * STRIDE + drawn // STRIDE
    x = torch.arange(across) * STRIDE + drawn % STRIDE
    stays = torch.zeros(height, width, dtype=torch.bool)
    stays[y, x] = True
    return stays.flatten().nonzero()[:, 0], (~stays).flatten().nonzero()[:, 0]


def merge_similar(x: Tensor, stay: Tensor, others: Tensor, count: int) -> Merging:
    """Merge tokens of x (b, n, c) with those that stay: the ``count`` that are most like one of them.

    Args:
        stay, others: where the tokens are that stay, and that may be merged; together all n.
    """
    b, n, _ = x.shape
    directions = normalize(x, dim=-1)
    similarity, nearest = most_similar(directions[:, others], directions[:, stay])  # (b, others) each
    order = similarity.argsort(dim=1, descending=True, stable=True)
    merged, single = order[:, :count], order[:, count:]
    into = torch.empty(b, n, dtype=torch.long, device=x.device)
    into[:, stay] = torch.arange(len(stay), device=x.device)
    into.scatter_(1, others[merged], nearest.gather(1, merged))
    into.scatter_(1, others[single], torch.arange(len(stay), n - count, device=x.device).expand(b, -1))
    return Merging(into, n - count)


def most_similar(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """For each of a (…, n, c) its largest product with one of b (…, m, c), and with which: (…, n) each."""
    largest, places = [], []
    for portion in a.split(PORTION, dim=-2):
        products = portion @ b.mT
        place = products.argmax(-1, keepdim=True)  # quicker than max, which has both
        largest.append(products.gather(-1, place)[..., 0])
        places.append(place[..., 0])
    return torch.cat(largest, -1), torch.cat(places, -1)
