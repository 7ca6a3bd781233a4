"""What the figure's arrows and boxes mean."""

from __future__ import annotations

from gesso.anatomy.figure.palette import CONTEXT, SKIP, TIME
from gesso.anatomy.figure.panel import PADDING, draw_panel
from gesso.anatomy.figure.svg import INK, Drawing, Point

LINES = (
    (INK, "the feature map x, from block to block"),
    (SKIP, "a skip and its channels: kept on the way down, concatenated on the way up"),
    (TIME.stroke, "the time embedding t, added inside every ResnetBlock"),
    (CONTEXT.stroke, "the context c, read by the cross-attention of every SpatialTransformer"),
)
LINE_HEIGHT = 19


def draw_legend(drawing: Drawing, corner: Point) -> float:
    """Draw the panel; returns where it ends below."""
    subtitle = "A box: kind of block, parameters, shape put out (channels × height × width)"
    return draw_panel(drawing, corner, "How to read it", subtitle, draw_inside)


def draw_inside(drawing: Drawing, corner: Point) -> float:
    x, y = corner
    y += 6
    for index, (colour, meaning) in enumerate(LINES):
        line = y + index * LINE_HEIGHT
        drawing.arrow([(x + PADDING, line - 4), (x + PADDING + 28, line - 4)], stroke=colour)
        drawing.text((x + PADDING + 38, line), meaning)
    return y + (len(LINES) - 1) * LINE_HEIGHT
