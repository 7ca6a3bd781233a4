"""A head for training alone: from features of a picture's cells to what is to be seen in them.

The world tells of every pixel what it shows. To say so besides denoising gives the features of a UNet a
meaning many steps before the pictures have one (Yu et al. 2025, "Representation Alignment for Generation",
with the world's own maps in place of another network's features). The head is thrown away afterwards.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, silu

from gesso.storybook.segmentation import COLOR_CLASSES, FIRST_KIND_CLASS, KIND_CLASSES, Maps

HIDDEN = 96


class LayoutHead(nn.Module):
    """The kind that is seen in a cell, and its colour given the kind.

    The colour is asked for with the right kind told, so that "blue" and "car" must be known to belong
    together, and a pair of them that training never shows is not ruled out.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Linear(channels, HIDDEN)
        self.kinds = nn.Linear(HIDDEN, KIND_CLASSES)
        self.kind_embedding = nn.Embedding(KIND_CLASSES, HIDDEN)
        self.colors = nn.Linear(HIDDEN, COLOR_CLASSES)

    def loss(self, features: Tensor, maps: Maps) -> Tensor:
        """Mean cross-entropy of the kinds of all cells, plus that of the colours of things.

        Args:
            features: (b, n, channels).
            maps: classes of the cells, (b, h, w) with h · w = n.
        """
        kinds, colors = maps.kinds.flatten(), maps.colors.flatten()  # (b · n,)
        inner = self.inner(features).flatten(0, 1)  # (b · n, HIDDEN)
        loss = cross_entropy(self.kinds(silu(inner)), kinds)
        things = kinds >= FIRST_KIND_CLASS
        told = silu(inner + self.kind_embedding(kinds))
        errors = cross_entropy(self.colors(told), colors, reduction="none")
        return loss + (errors * things).sum() / things.sum().clamp_min(1)


def coarser(maps: Maps, side: int) -> Maps:
    """Every n-th cell of maps, so that ``side`` are left along each side: (b, h, w) -> (b, side, side)."""
    step = maps.kinds.shape[-1] // side
    first = step // 2
    return Maps(*(classes[:, first::step, first::step] for classes in maps))


def cells_of(features: Tensor) -> Tensor:
    """A feature map as a row of cells: (b, c, h, w) -> (b, h · w, c)."""
    return features.flatten(2).transpose(1, 2)


class Witness:
    """Keeps what a module put out last, for a loss on features inside a network."""

    def __init__(self, module: nn.Module) -> None:
        self.features: Tensor | None = None
        module.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.features = output

    def take(self) -> Tensor:
        """The features, once."""
        features, self.features = self.features, None
        assert features is not None, "the network was not called"
        return features
