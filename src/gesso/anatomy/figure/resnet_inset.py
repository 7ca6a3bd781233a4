"""Inside a ResnetBlock: its layers, where the time embedding comes in, and the shortcut."""

from __future__ import annotations

from gesso.anatomy.figure.palette import CONVOLUTION, RESNET, TIME, Paint
from gesso.anatomy.figure.panel import LEAD, PANEL_WIDTH, PLUS, Trunk, draw_panel, step_item
from gesso.anatomy.figure.places import CHIP_HEIGHT
from gesso.anatomy.figure.svg import Drawing, Point
from gesso.anatomy.numbers import count, size
from gesso.anatomy.outline import Block, Outline, Step

TRUNK_WIDTH, SIDE_WIDTH = 220, 140
SIDE_GAP = 15


def draw_resnet_inset(drawing: Drawing, unet: Outline, corner: Point) -> float:
    """Draw the inset; returns where it ends below."""
    block = example(unet)
    title, subtitle = (
        "Inside a ResnetBlock",
        f"here that of {block.label}, {count(block.parameters)} parameters",
    )
    return draw_panel(drawing, corner, title, subtitle, lambda inside, at: draw_inside(inside, block, at))


def example(unet: Outline) -> Block:
    """The first one of the finest level on the way up: it concatenates, and has a shortcut."""
    return [blocks[0] for blocks in unet.stages.values() if blocks[0].reads][-1]


def draw_inside(drawing: Drawing, block: Block, corner: Point) -> float:
    x, y = corner
    trunk = Trunk(drawing, x + (PANEL_WIDTH - TRUNK_WIDTH) / 2, TRUNK_WIDTH, y)
    shortcut = [step for step in block.steps if is_shortcut(step)]
    trunk.chip(input_text(block))
    fork = (trunk.left, y + CHIP_HEIGHT / 2)
    waits_for_time = True
    for step in block.steps:
        if is_time(step) and waits_for_time:
            draw_time(drawing, block, trunk.plus(), trunk)
            waits_for_time = False
        elif not is_time(step) and not is_shortcut(step):
            trunk.box(step_item(step), paint(step))
    draw_shortcut(drawing, shortcut, fork, trunk.plus())
    trunk.chip(size(block.output))
    return trunk.y


def input_text(block: Block) -> str:
    if block.reads is None:
        return f"x {size(block.inputs[0])}"
    return f"x {block.reads.input_channels} + skip {block.reads.channels} → {size(block.inputs[0])}"


def is_time(step: Step) -> bool:
    """Whether it works on the time embedding, a vector, and not on a feature map."""
    return len(step.output) == 1


def is_shortcut(step: Step) -> bool:
    return step.name == "conv_shortcut"


def paint(step: Step) -> Paint:
    return RESNET if step.kind == "Conv2d" else CONVOLUTION


def draw_time(drawing: Drawing, block: Block, addition: Point, trunk: Trunk) -> None:
    """The time embedding's layers at the right, ending in the addition between the convolutions."""
    steps = [step for step in block.steps if is_time(step)]
    left = trunk.left + TRUNK_WIDTH + SIDE_GAP
    top = addition[1] - LEAD - CHIP_HEIGHT - sum(LEAD + step_item(step).height for step in steps)
    side = Trunk(drawing, left, SIDE_WIDTH, top, colour=TIME.stroke)
    side.chip(f"t {size(block.inputs[1])}")
    for step in steps:
        side.box(step_item(step), TIME)
    corner = (side.centre, addition[1])
    drawing.arrow([(side.centre, side.y), corner, (addition[0] + PLUS, addition[1])], stroke=TIME.stroke)


def draw_shortcut(drawing: Drawing, steps: list[Step], fork: Point, addition: Point) -> None:
    """The input's way past the convolutions, through a 1×1 convolution where the channels change."""
    left = fork[0] - SIDE_GAP - SIDE_WIDTH
    side = Trunk(drawing, left, SIDE_WIDTH, (fork[1] + addition[1]) / 2 - 18)
    end = [(side.centre, addition[1]), (addition[0] - PLUS, addition[1])]
    if not steps:
        drawing.arrow([fork, (side.centre, fork[1]), *end])
        return
    drawing.arrow([fork, (side.centre, fork[1]), (side.centre, side.y)])
    for step in steps:
        side.box(step_item(step), paint(step))
    drawing.arrow([(side.centre, side.y), *end])
