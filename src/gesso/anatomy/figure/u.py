"""The U itself: down at the left, middle at the bottom, up at the right, skips across."""

from __future__ import annotations

from itertools import chain, pairwise

from gesso.anatomy.dissect import Anatomy
from gesso.anatomy.figure.boxes import draw_block
from gesso.anatomy.figure.inputs import draw_inputs
from gesso.anatomy.figure.palette import BAND, MUTED, SKIP
from gesso.anatomy.figure.places import BOX_WIDTH, Places
from gesso.anatomy.figure.rows import BOX_HEIGHT, headroom, levels
from gesso.anatomy.figure.svg import Drawing, text_width
from gesso.anatomy.numbers import size

PADDING = 9


def draw_u(drawing: Drawing, anatomy: Anatomy, places: Places) -> None:
    draw_bands(drawing, places)
    draw_inputs(drawing, anatomy, places)
    draw_flow(drawing, places)
    draw_skips(drawing, places)
    for block in chain(places.down, places.middle, places.up):
        draw_block(drawing, block, places.corners[block.path])


def draw_bands(drawing: Drawing, places: Places) -> None:
    """One band behind all rows of a resolution, the middle included in the last."""
    bands = list(levels(places.rows))
    for band in bands:
        blocks = [block for row in band for block in chain(row.left, row.right)]
        if band is bands[-1]:
            blocks += places.middle
        heights = [places.corners[block.path][1] for block in blocks]
        top, bottom = min(heights) - PADDING - headroom(band), max(heights) + BOX_HEIGHT + PADDING
        width = places.right + BOX_WIDTH - places.left + 2 * PADDING
        corner = (places.left - PADDING, top)
        drawing.rectangle(corner, width, bottom - top, fill=BAND.fill, stroke=BAND.stroke)
        sides = size(band[0].left[-1].output[1:])
        drawing.text((places.centre, top + 15), sides, size=12, anchor="middle", bold=True, fill=MUTED)


def draw_flow(drawing: Drawing, places: Places) -> None:
    """From block to block: down, along the bottom, up."""
    for above, below in pairwise(places.down):
        drawing.arrow([places.foot(above), places.top(below)])
    drawing.arrow([places.foot(places.down[-1]), places.top(places.middle[0])])
    for before, after in pairwise(places.middle):
        drawing.arrow([places.right_side(before), places.left_side(after)])
    drawing.arrow([places.top(places.middle[-1]), places.foot(places.up[0])])
    for below, above in pairwise(places.up):
        drawing.arrow([places.top(below), places.foot(above)])


def draw_skips(drawing: Drawing, places: Places) -> None:
    """An arrow a skip, with its channels in the middle and the layers' names at its ends."""
    for row in places.rows:
        if not row.left:
            continue
        source, reader = row.left[-1], row.right[0]
        start, end = places.right_side(source), places.left_side(reader)
        drawing.arrow([start, end], stroke=SKIP, width=1.6, head=7)
        channels = str(source.output[0])
        width = text_width(channels, 11, bold=True) + 12
        corner = (places.centre - width / 2, start[1] - 8)
        drawing.rectangle(corner, width, 16, fill="#ffffff", stroke=SKIP, radius=8)
        at = (places.centre, start[1] + 4)
        drawing.text(at, channels, anchor="middle", bold=True, fill=SKIP)
        drawing.text((start[0] + 7, start[1] - 5), source.label, size=10, fill=MUTED)
        drawing.text((end[0] - 9, end[1] - 5), reader.label, size=10, anchor="end", fill=MUTED)
