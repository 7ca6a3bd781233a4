"""A framed part of the page beside the U, and the column of boxes that an inset is drawn around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gesso.anatomy.figure.boxes import draw_chip, function_name
from gesso.anatomy.figure.palette import CONVOLUTION, MUTED, PANEL, Paint
from gesso.anatomy.figure.places import CHIP_HEIGHT
from gesso.anatomy.figure.svg import INK, Drawing, Point
from gesso.anatomy.numbers import count, size
from gesso.anatomy.outline import Step

PANEL_WIDTH = 560
PADDING = 16
HEADING = 56
LEAD = 15
"""Length of the arrow between two boxes of an inset."""
PLUS = 7
"""Radius of an addition's circle."""


def draw_panel(
    drawing: Drawing,
    corner: Point,
    title: str,
    subtitle: str,
    draw_inside: Callable[[Drawing, Point], float],
) -> float:
    """A frame with a title around what ``draw_inside`` draws; both return where they end below."""
    x, y = corner
    inside = Drawing()
    bottom = draw_inside(inside, (x, y + HEADING)) + PADDING
    drawing.rectangle(corner, PANEL_WIDTH, bottom - y, fill=PANEL.fill, stroke=PANEL.stroke, radius=8)
    drawing.text((x + PADDING, y + 24), title, size=15, bold=True)
    drawing.text((x + PADDING, y + 42), subtitle, fill=MUTED)
    drawing.elements += inside.elements
    return bottom


@dataclass(frozen=True)
class Item:
    """The words in a box: one line, or two."""

    name: str
    note: str = ""
    below: str = ""

    @property
    def height(self) -> float:
        return 35 if self.below else 22


def step_item(step: Step) -> Item:
    """The box of a layer with weights, or of an activation."""
    if not step.parameters:
        return Item(function_name(step))
    return Item(f"{step.kind} {step.detail}".strip(), count(step.parameters), size(step.output))


@dataclass
class Trunk:
    """A column of boxes joined by arrows, drawn from the top.

    Attributes:
        y: where it has got to.
    """

    drawing: Drawing
    left: float
    width: float
    y: float
    colour: str = INK
    started: bool = False

    @property
    def centre(self) -> float:
        return self.left + self.width / 2

    def lead(self, length: float) -> None:
        """A line on, without a head."""
        self.drawing.line([(self.centre, self.y), (self.centre, self.y + length)], stroke=self.colour)
        self.y += length

    def enter(self) -> None:
        """An arrow into whatever comes next, except at the start."""
        start = (self.centre, self.y)
        if self.started:
            self.y += LEAD
            self.drawing.arrow([start, (self.centre, self.y)], stroke=self.colour)
        self.started = True

    def chip(self, content: str) -> None:
        self.enter()
        draw_chip(self.drawing, (self.left, self.y), content, self.width)
        self.y += CHIP_HEIGHT

    def box(self, item: Item, paint: Paint = CONVOLUTION) -> None:
        self.enter()
        corner = (self.left, self.y)
        self.drawing.rectangle(
            corner, self.width, item.height, fill=paint.fill, stroke=paint.stroke, radius=4
        )
        if item.note:
            self.drawing.text((self.left + 8, self.y + 15), item.name, bold=bool(item.below))
            right = (self.left + self.width - 8, self.y + 15)
            self.drawing.text(right, item.note, anchor="end")
            self.drawing.text((self.left + 8, self.y + 28), item.below, size=10)
        else:
            self.drawing.text((self.centre, self.y + 15), item.name, anchor="middle")
        self.y += item.height

    def plus(self) -> Point:
        """An addition; returns its centre."""
        self.enter()
        centre = (self.centre, self.y + PLUS)
        self.drawing.plus(centre)
        self.y += 2 * PLUS
        return centre
