"""Which of two groups is to stand on the left, told from a caption.

In "a house left of a tree" and "a tree with a house to its left" the same words stand in another order, and
half of all guesses are right. In a map of the picture, or in what a denoiser has to say, that is next to
nothing, and text encoders did not learn it from either (docs/adr/0009). Asked outright, they do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gesso.models.attention import TransformerBlock
from gesso.storybook.scene import COLORS, KINDS, Scene

BLOCKS = 2
HEADS = 4


class Sides(nn.Module):
    """A head for training alone: groups, told by kind and colour, look their side up in the context.

    Args:
        width: of the context.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind_embedding = nn.Embedding(len(KINDS), width)
        self.color_embedding = nn.Embedding(len(COLORS), width)
        self.blocks = nn.ModuleList(TransformerBlock(width, width, HEADS) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(width)
        self.left = nn.Linear(width, 1)

    def loss(self, context: Tensor, groups: Tensor) -> Tensor:
        """Mean cross-entropy of which group is on the left.

        Args:
            context: (b, n, width).
            groups: as ``sides_of`` gives them, (b, 2, 3).
        """
        kinds, colors, left = groups.unbind(dim=-1)
        x = self.kind_embedding(kinds) + self.color_embedding(colors)  # (b, 2, width)
        for block in self.blocks:
            x = block(x, context)
        answers = self.left(self.norm(x))[..., 0]
        return binary_cross_entropy_with_logits(answers, left.to(answers.dtype))


def has_sides(scene: Scene) -> bool:
    """Whether its caption says which of two groups is on the left."""
    return scene.relation in ("left of", "right of")


def sides_of(scenes: Sequence[Scene]) -> Tensor:
    """Kind, colour, and 1 for the one on the left, of the two groups of each scene: (b, 2, 3) int64."""
    rows = []
    for scene in scenes:
        first_left = scene.relation == "left of"
        rows.append(
            [
                (KINDS.index(group.kind), COLORS.index(group.color), int(left))
                for group, left in zip(scene.groups, (first_left, not first_left), strict=True)
            ]
        )
    return torch.tensor(rows)
