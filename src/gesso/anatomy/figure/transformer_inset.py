"""Inside a SpatialTransformer: self-attention, cross-attention and feed-forward over the pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gesso.anatomy.figure.boxes import draw_chip
from gesso.anatomy.figure.palette import CONTEXT, FRAME, MUTED, TRANSFORMER
from gesso.anatomy.figure.panel import LEAD, PANEL_WIDTH, PLUS, Item, Trunk, draw_panel, step_item
from gesso.anatomy.figure.places import CHIP_HEIGHT
from gesso.anatomy.figure.svg import Drawing, Point
from gesso.anatomy.numbers import count, size
from gesso.anatomy.outline import CROSS_ATTENTION, Block, Outline, Step

TRUNK_WIDTH, SIDE_WIDTH = 284, 96
OUTER, INNER = 50, 22
"""How far left of the trunk the two kinds of residual arrows run."""


@dataclass(frozen=True)
class Sublayer:
    """A norm and what follows it, added back to what came before the norm."""

    norm: Step
    role: str
    steps: tuple[Step, ...]


def draw_transformer_inset(drawing: Drawing, unet: Outline, corner: Point) -> float:
    """Draw the inset; returns where it ends below."""
    block = next(block for block in unet.blocks if block.kind == "SpatialTransformer")
    subtitle = f"here that of {block.label}, {count(block.parameters)} parameters"
    return draw_panel(
        drawing,
        corner,
        "Inside a SpatialTransformer",
        subtitle,
        lambda inside, at: draw_inside(inside, block, at),
    )


def draw_inside(drawing: Drawing, block: Block, corner: Point) -> float:
    x, y = corner
    trunk = Trunk(drawing, x + (PANEL_WIDTH - TRUNK_WIDTH) / 2, TRUNK_WIDTH, y)
    inner = [step for step in block.steps if is_inner(step)]
    first = block.steps.index(inner[0])
    before, after = block.steps[:first], block.steps[first + len(inner) :]
    trunk.chip(f"x {size(block.inputs[0])}")
    fork = (trunk.left, y + CHIP_HEIGHT / 2)
    for step in before:
        trunk.box(step_item(step))
    trunk.lead(LEAD / 2)
    top = trunk.y
    trunk.lead(LEAD / 2)
    for sublayer in sublayers(inner):
        draw_sublayer(drawing, trunk, sublayer, block)
    trunk.lead(LEAD / 2)
    draw_frame(drawing, trunk, top, inner[0])
    for step in after:
        trunk.box(step_item(step))
    draw_residual(drawing, fork, trunk.plus(), trunk.left - OUTER)
    trunk.chip(size(block.output))
    return trunk.y


def is_inner(step: Step) -> bool:
    """Whether it belongs to the TransformerBlock, which works on a sequence of pixels."""
    return len(step.output) != 3 or bool(step.role)


def sublayers(steps: Iterable[Step]) -> Iterator[Sublayer]:
    norm, group = None, []
    for step in steps:
        if not step.role:
            if norm:
                yield Sublayer(norm, group[0].role, tuple(group))
            norm, group = step, []
        else:
            group.append(step)
    if norm:
        yield Sublayer(norm, group[0].role, tuple(group))


def draw_sublayer(drawing: Drawing, trunk: Trunk, sublayer: Sublayer, block: Block) -> None:
    fork = (trunk.centre, trunk.y + LEAD / 2)
    trunk.box(Item(sublayer.norm.kind, count(sublayer.norm.parameters)))
    top = trunk.y + LEAD
    trunk.box(sublayer_item(sublayer), TRANSFORMER)
    if sublayer.role == CROSS_ATTENTION:
        left, middle = trunk.left + TRUNK_WIDTH + 30, (top + trunk.y) / 2
        draw_chip(drawing, (left, middle - CHIP_HEIGHT / 2), f"c {size(block.inputs[1])}", SIDE_WIDTH)
        drawing.arrow([(left, middle), (trunk.left + TRUNK_WIDTH, middle)], stroke=CONTEXT.stroke)
    draw_residual(drawing, fork, trunk.plus(), trunk.left - INNER)


def sublayer_item(sublayer: Sublayer) -> Item:
    parameters = count(sum(step.parameters for step in sublayer.steps))
    attention = next((step for step in sublayer.steps if step.kind == "attention"), None)
    if attention:
        queries, keys = attention.inputs[0][1], attention.inputs[1][1]
        read = f"{keys} tokens" if sublayer.role == CROSS_ATTENTION else "each other"
        return Item(sublayer.role, parameters, f"{attention.detail}: {queries} pixels read {read}")
    first, last = sublayer.steps[0], sublayer.steps[-1]
    widths = (first.inputs[0][-1], first.output[-1], last.inputs[0][-1], last.output[-1])
    return Item(sublayer.role, parameters, "{} → {}, GELU gate, {} → {}".format(*widths))


def draw_residual(drawing: Drawing, fork: Point, addition: Point, x: float) -> None:
    """From a point of the trunk out to ``x``, down, and into an addition."""
    drawing.arrow([fork, (x, fork[1]), (x, addition[1]), (addition[0] - PLUS, addition[1])])


def draw_frame(drawing: Drawing, trunk: Trunk, top: float, first: Step) -> None:
    """A dashed frame around the TransformerBlock, with the shape it works on."""
    left, right = trunk.left - INNER - 12, trunk.left + TRUNK_WIDTH + 12
    drawing.rectangle(
        (left, top), right - left, trunk.y - top, fill="none", stroke=FRAME, radius=5, dashed=True
    )
    drawing.text((right + 8, top + 12), "the pixels", size=10, fill=MUTED)
    drawing.text((right + 8, top + 25), "as a sequence,", size=10, fill=MUTED)
    drawing.text((right + 8, top + 38), size(first.inputs[0]), size=10, fill=MUTED)
