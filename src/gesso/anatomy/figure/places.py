"""Where every block of the U stands on the page."""

from __future__ import annotations

from dataclasses import dataclass

from gesso.anatomy.figure.rows import BOX_HEIGHT, INNER_GAP, ROW_GAP, Row, headroom, levels, rows
from gesso.anatomy.figure.svg import Point
from gesso.anatomy.outline import Block, Outline

BOX_WIDTH = 228
CENTRE_GAP = 290
RAIL_GAP = 36
WIDTH = 2 * (RAIL_GAP + BOX_WIDTH) + CENTRE_GAP
CHIP_HEIGHT = 22
INPUTS_HEIGHT = 2 * BOX_HEIGHT + INNER_GAP


@dataclass(frozen=True)
class Places:
    """The U's geometry, in pixels.

    Attributes:
        x, y: its left top corner.
        bottom: where it ends.
        rows: top to bottom.
        down, middle, up: the blocks of the three parts, in the order of running.
        corners: left top corner of each block's box, by the block's path.
    """

    x: float
    y: float
    bottom: float
    rows: tuple[Row, ...]
    down: tuple[Block, ...]
    middle: tuple[Block, ...]
    up: tuple[Block, ...]
    corners: dict[str, Point]

    @property
    def left(self) -> float:
        """Left edge of the left column's boxes."""
        return self.x + RAIL_GAP

    @property
    def right(self) -> float:
        """Left edge of the right column's boxes."""
        return self.left + BOX_WIDTH + CENTRE_GAP

    @property
    def centre(self) -> float:
        return self.x + WIDTH / 2

    def top(self, block: Block) -> Point:
        x, y = self.corners[block.path]
        return x + BOX_WIDTH / 2, y

    def foot(self, block: Block) -> Point:
        x, y = self.corners[block.path]
        return x + BOX_WIDTH / 2, y + BOX_HEIGHT

    def left_side(self, block: Block) -> Point:
        x, y = self.corners[block.path]
        return x, y + BOX_HEIGHT / 2

    def right_side(self, block: Block) -> Point:
        x, y = self.corners[block.path]
        return x + BOX_WIDTH, y + BOX_HEIGHT / 2


def arrange(unet: Outline, x: float, y: float) -> Places:
    """Lay out the U with its left top corner at (x, y): a row a skip, the middle below all of them."""
    all_rows = tuple(rows(unet))
    middle = unet.stages["mid"]
    left, right = x + RAIL_GAP, x + RAIL_GAP + BOX_WIDTH + CENTRE_GAP
    corners: dict[str, Point] = {}
    top = y + INPUTS_HEIGHT + 2 * ROW_GAP + CHIP_HEIGHT
    firsts = {id(level[0]): headroom(level) for level in levels(all_rows)}
    for row in all_rows:
        top += firsts.get(id(row), 0)
        bottom = top + row.height
        for column, layer in ((left, reversed(row.left)), (right, row.right)):
            for above, block in enumerate(layer):
                corners[block.path] = (column, bottom - BOX_HEIGHT - above * (BOX_HEIGHT + INNER_GAP))
        top = bottom + ROW_GAP
    top += ROW_GAP / 2
    for index, block in enumerate(middle):
        corners[block.path] = (left + index * (right - left) / (len(middle) - 1), top)
    return Places(
        x=x,
        y=y,
        bottom=top + BOX_HEIGHT + 2 * ROW_GAP,
        rows=all_rows,
        down=tuple(block for row in all_rows for block in row.left),
        middle=middle,
        up=tuple(block for row in reversed(all_rows) for block in row.right),
        corners=corners,
    )
