"""Panels with axes, for charts: places of values, ticks, lines, bands, and marks with whiskers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gesso.anatomy.figure.svg import INK, Drawing, Point, text_width

GRID, MUTED = "#e3e6ea", "#616874"
COLOURS = ("#2f6db0", "#c77f12", "#3f8a3f", "#8440a0", "#b02a3c", "#128080")
RADIUS = 3.6
INSET = 10.0
"""Pixels that a panel goes on beyond either end of its x axis."""

SHAPES = ((), (45, 135, 225, 315), (30, 150, 270), (0, 90, 180, 270), (90, 210, 330))
"""Of marks, the angles of their corners; without any it is a circle. They and colours tell lines apart."""


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` to ``high`` on pixels from ``start`` to ``end``.

    Attributes:
        ticks: values that are marked.
        label: the text of a tick.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    label: Callable[[float], str] = "{:g}".format
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies; what is beyond an end lies there."""
        low, high, value = (
            math.log(each) if self.logarithmic else each for each in (self.low, self.high, value)
        )
        share = (value - low) / (high - low)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Panel:
    """A rectangle between two axes; y ends at the top."""

    drawing: Drawing
    x: Axis
    y: Axis

    def frame(self, title: str, below: str = "") -> None:
        """Lines at the ticks and their texts, a title above, and below what x is."""
        x, y = self.x, self.y
        left, right = x.start - INSET, x.end + INSET
        self.drawing.text((left, y.end - 12), title, size=12, bold=True)
        for tick in y.ticks:
            self.drawing.line([(left, y(tick)), (right, y(tick))], stroke=GRID, width=1)
            self.drawing.text((left - 6, y(tick) + 4), y.label(tick), anchor="end", fill=MUTED)
        for tick in x.ticks:
            self.drawing.line([(x(tick), y.start), (x(tick), y.start + 4)], stroke=MUTED, width=1)
            self.drawing.text((x(tick), y.start + 17), x.label(tick), anchor="middle", fill=MUTED)
        middle = (x.start + x.end) / 2
        self.drawing.text((middle, y.start + 34), below, anchor="middle", fill=MUTED)

    def at(self, point: Point) -> Point:
        return self.x(point[0]), self.y(point[1])

    def curve(self, points: Sequence[Point], number: int) -> None:
        """A line with a mark at each point, in the colour and shape of that number."""
        places = [self.at(point) for point in points]
        self.drawing.line(places, stroke=COLOURS[number], width=1.6)
        for place in places:
            mark(self.drawing, place, number)

    def band(self, points: Sequence[Point], errors: Sequence[float], number: int) -> None:
        """What lies within each point's error."""
        above = [self.at((x, y + error)) for (x, y), error in zip(points, errors, strict=True)]
        below = [self.at((x, y - error)) for (x, y), error in zip(points, errors, strict=True)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*above, *below[::-1]])
        self.drawing.add("polygon", points=outline, fill=COLOURS[number], fill_opacity="0.14")

    def level(self, height: float, stroke: str) -> None:
        """A dashed line all the way across."""
        dashes = {"stroke": stroke, "stroke_width": 1.2, "stroke_dasharray": "5 4"}
        y = self.y(height)
        self.drawing.add("line", x1=self.x.start - INSET, x2=self.x.end + INSET, y1=y, y2=y, **dashes)


def mark(drawing: Drawing, at: Point, number: int) -> None:
    """The mark of a number's line."""
    x, y = at
    corners = SHAPES[number % len(SHAPES)]
    if not corners:
        drawing.dot(at, fill=COLOURS[number], radius=RADIUS - 0.4)
        return
    turned = [math.radians(angle) for angle in corners]
    reach = RADIUS + 0.6
    points = " ".join(f"{x + reach * math.cos(a):.1f},{y + reach * math.sin(a):.1f}" for a in turned)
    drawing.add("polygon", points=points, fill=COLOURS[number])


def legend(drawing: Drawing, at: Point, names: Sequence[str], dashed: str = "") -> None:
    """In one line what each mark stands for, and at last what a dashed line does."""
    x, y = at
    for number, name in enumerate(names):
        drawing.line([(x, y - 4), (x + 22, y - 4)], stroke=COLOURS[number], width=1.6)
        mark(drawing, (x + 11, y - 4), number)
        drawing.text((x + 28, y), name)
        x += 28 + text_width(name, 11) + 18
    if dashed:
        dashes = {"stroke": INK, "stroke_width": 1.2, "stroke_dasharray": "5 4"}
        drawing.add("line", x1=x, x2=x + 22, y1=y - 4, y2=y - 4, **dashes)
        drawing.text((x + 28, y), dashed)


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values at even distances, the first at or below ``low``, the last at or above ``high``."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(each * power for each in (1, 2, 5, 10, 20, 50) if span / (each * power) <= most - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]
