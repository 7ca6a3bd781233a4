"""What enters and leaves the U: latents and output at the top, time embedding and context at the sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gesso.anatomy.dissect import Anatomy
from gesso.anatomy.figure.boxes import draw_box, draw_chip
from gesso.anatomy.figure.palette import CONTEXT, TIME, Paint
from gesso.anatomy.figure.places import BOX_WIDTH, CHIP_HEIGHT, WIDTH, Places
from gesso.anatomy.figure.rows import BOX_HEIGHT, INNER_GAP, ROW_GAP
from gesso.anatomy.figure.svg import Drawing
from gesso.anatomy.numbers import count, size
from gesso.anatomy.outline import Block

TIME_RAIL, CONTEXT_RAIL = 6, 20
"""How far the two rails stand inside the U's outer edges."""


def draw_inputs(drawing: Drawing, anatomy: Anatomy, places: Places) -> None:
    time = next(block for block in anatomy.unet.blocks if block.kind == "TimestepEmbedding")
    x, y = places.centre - BOX_WIDTH / 2, places.y
    draw_rails(drawing, places, TIME, TIME_RAIL, y + BOX_HEIGHT / 2, reads_time)
    below = y + BOX_HEIGHT + INNER_GAP
    draw_rails(drawing, places, CONTEXT, CONTEXT_RAIL, below + BOX_HEIGHT / 2, reads_context)
    entering = f"timestep → {size(time.output)}"
    draw_box(drawing, (x, y), TIME, "time embedding t", count(time.parameters), entering)
    shape = size(anatomy.context_shape)
    draw_box(drawing, (x, below), CONTEXT, "context c", shape, "the text encoder's hidden states")
    draw_latents(drawing, anatomy, places)
    draw_output(drawing, anatomy, places)


def draw_latents(drawing: Drawing, anatomy: Anatomy, places: Places) -> None:
    first = places.down[0]
    name = "latents, mask, image" if anatomy.config.inpainting else "latents"
    x, y = places.top(first)
    chip = y - ROW_GAP - CHIP_HEIGHT
    draw_chip(drawing, (places.left, chip), f"{name} {size(first.inputs[0])}")
    drawing.arrow([(x, chip + CHIP_HEIGHT), (x, y)])


def draw_output(drawing: Drawing, anatomy: Anatomy, places: Places) -> None:
    last = places.up[-1]
    name = "noise" if anatomy.config.noise.prediction == "epsilon" else anatomy.config.noise.prediction
    x, y = places.top(last)
    chip = y - ROW_GAP - CHIP_HEIGHT
    draw_chip(drawing, (places.right, chip), f"predicted {name} {size(last.output)}")
    drawing.arrow([(x, y), (x, chip + CHIP_HEIGHT)])


def draw_rails(
    drawing: Drawing,
    places: Places,
    colours: Paint,
    inside: float,
    start: float,
    reads: Callable[[Block], bool],
) -> None:
    """Lines from an input's box out to both sides and down, with an arrow into every block that reads it.

    Args:
        inside: distance of the rail from the U's outer edge.
        start: height of the box's middle.
        reads: whether a block reads this input.
    """
    *first, last = places.middle
    left = [places.left_side(block) for block in (*places.down, *first[:1]) if reads(block)]
    right = [places.right_side(block) for block in (*places.up, last) if reads(block)]
    inner = [places.foot(block) for block in first[1:] if reads(block)]
    rail = places.x + inside
    drain = max([y for _, y in left] + [places.bottom - ROW_GAP for _ in inner], default=start)
    line(drawing, colours, (places.centre, start), rail, drain, left)
    for x, y in inner:
        drawing.arrow([(rail, drain), (x, drain), (x, y)], stroke=colours.stroke)
    drain = max((y for _, y in right), default=start)
    line(drawing, colours, (places.centre, start), places.x + WIDTH - inside, drain, right)


def line(
    drawing: Drawing,
    colours: Paint,
    start: tuple[float, float],
    rail: float,
    drain: float,
    readers: Iterable[tuple[float, float]],
) -> None:
    """One rail, from its box down to where it ends, with its branches."""
    drawing.line([start, (rail, start[1]), (rail, drain)], stroke=colours.stroke)
    for x, y in readers:
        drawing.arrow([(rail, y), (x, y)], stroke=colours.stroke, width=1, head=5)
        drawing.dot((rail, y), fill=colours.stroke)


def reads_time(block: Block) -> bool:
    """Besides the feature map, a vector."""
    return any(len(shape) == 1 for shape in block.inputs[1:])


def reads_context(block: Block) -> bool:
    """Besides the feature map, a sequence of vectors."""
    return any(len(shape) == 2 for shape in block.inputs[1:])
