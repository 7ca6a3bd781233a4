"""The box that stands for a block, and the chip that stands for a tensor."""

from __future__ import annotations

from gesso.anatomy.figure.palette import MUTED, SKIP, Paint, paint
from gesso.anatomy.figure.places import BOX_WIDTH, CHIP_HEIGHT
from gesso.anatomy.figure.rows import BOX_HEIGHT
from gesso.anatomy.figure.svg import Drawing, Point
from gesso.anatomy.numbers import count, size
from gesso.anatomy.outline import Block, Step

INSET = 9


def draw_block(drawing: Drawing, block: Block, corner: Point) -> None:
    """Kind, parameters, output shape, and what is concatenated."""
    name = ", ".join((block.kind, *activations(block)))
    draw_box(drawing, corner, paint(block.kind), name, count(block.parameters), size(block.output))
    if block.reads:
        x, y = corner
        reads = f"reads {block.reads.input_channels} + {block.reads.channels}"
        drawing.text((x + BOX_WIDTH - INSET, y + 29), reads, anchor="end", bold=True, fill=SKIP)


def activations(block: Block) -> list[str]:
    """What follows a block that is one plain layer."""
    plain = not block.steps[0].name
    return [function_name(step) for step in block.steps if plain and not step.parameters]


def function_name(step: Step) -> str:
    """How papers write the name of an activation."""
    return {"silu": "SiLU", "gelu": "GELU"}.get(step.kind, step.kind)


def draw_box(drawing: Drawing, corner: Point, colours: Paint, name: str, note: str, below: str) -> None:
    """A box with a name and a note on its first line, and more on the second."""
    x, y = corner
    drawing.rectangle(corner, BOX_WIDTH, BOX_HEIGHT, fill=colours.fill, stroke=colours.stroke)
    drawing.text((x + INSET, y + 15), name, size=12, bold=True)
    drawing.text((x + BOX_WIDTH - INSET, y + 15), note, anchor="end")
    drawing.text((x + INSET, y + 29), below)


def draw_chip(drawing: Drawing, corner: Point, content: str, width: float = BOX_WIDTH) -> None:
    """A tensor that enters or leaves."""
    x, y = corner
    drawing.rectangle(corner, width, CHIP_HEIGHT, fill="#ffffff", stroke=MUTED, radius=CHIP_HEIGHT / 2)
    drawing.text((x + width / 2, y + 15), content, anchor="middle")
