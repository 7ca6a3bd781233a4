"""The rows of the U: each is a skip, with the layer that leaves it and the layer that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gesso.anatomy.outline import Block, Outline

Layer = tuple[Block, ...]

BOX_HEIGHT = 36
INNER_GAP = 10
ROW_GAP = 18


@dataclass(frozen=True)
class Row:
    """One row of the figure.

    Attributes:
        left: the layer whose output is kept, top to bottom; empty where only the right column has one.
        right: the layer that reads it, from the bottom up.
    """

    left: Layer
    right: Layer

    @property
    def height(self) -> float:
        return max(layer_height(self.left), layer_height(self.right))

    @property
    def is_skip(self) -> bool:
        return bool(self.left)


def layer_height(layer: Layer) -> float:
    return len(layer) * (BOX_HEIGHT + INNER_GAP) - INNER_GAP if layer else 0


def rows(unet: Outline) -> list[Row]:
    """From the finest level to the coarsest; the layers of the right column run from the last row up."""
    layers = layers_of(unet)
    readers = {layer[0].reads.label: layer for layer in layers.values() if layer[0].reads}
    after = dict(zip(layers, list(layers)[1:], strict=False))
    result = [Row((), unet_end(unet))]
    for skip in unet.skips:
        reader = readers[skip.label]
        following = layers.get(after.get(reader[0].label, ""), ())
        if following and following[0].kind == "Upsample":
            result.append(Row((), following))
        result.append(Row(layers[skip.label], reader))
    return result


def layers_of(unet: Outline) -> dict[str, Layer]:
    """The blocks by the label of their layer, in the order of running."""
    labels = dict.fromkeys(block.label for block in unet.blocks)
    return {label: tuple(block for block in unet.blocks if block.label == label) for label in labels}


def unet_end(unet: Outline) -> Layer:
    """What follows the last layer of the way up."""
    last = max(index for index, block in enumerate(unet.blocks) if block.stage.startswith("up"))
    return unet.blocks[last + 1 :]


def levels(all_rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Runs of rows whose skips have the same sides."""
    level: list[Row] = []
    for row in all_rows:
        if not row.is_skip:
            continue
        if level and row.left[-1].output[1:] != level[-1].left[-1].output[1:]:
            yield level
            level = []
        level.append(row)
    yield level


def headroom(level: list[Row]) -> float:
    """Extra space above a level, for its heading, where the first row is too low to leave any."""
    return 12 if level[0].height <= BOX_HEIGHT else 0
