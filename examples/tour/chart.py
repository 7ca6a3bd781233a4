"""Lines over two logarithmic axes, as an SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gesso.anatomy.figure.svg import Drawing

WIDTH, HEIGHT = 680.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 170.0, 58.0, 48.0
COLOURS = ("#2f6f8f", "#c2553a", "#5d8a3a", "#8a5aa8", "#b58a1e", "#555c66", "#2c9a8c")
GRID, PALE = "#e3e6ea", "#606060"
LEAST = 1e-6
"""What stands for 0, which has no logarithm."""


class Line(NamedTuple):
    """Points (x, y), both of them positive, and what they are called."""

    name: str
    points: Sequence[tuple[float, float]]


class Axis:
    """From values to pixels, along the logarithm."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self.low, self.high = (math.log10(max(edge(values), LEAST)) for edge in (min, max))
        margin = 0.04 * (self.high - self.low or 1.0)
        self.low, self.high = self.low - margin, self.high + margin
        self.begin, self.end = begin, end

    def __call__(self, value: float) -> float:
        share = (math.log10(max(value, LEAST)) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> Iterator[float]:
        """1, 2 and 5 times powers of ten; powers alone where those would be many."""
        steps = (1, 2, 5) if self.high - self.low < 2.5 else (1,)
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            yield from (
                step * 10.0**power for step in steps if self.low <= math.log10(step) + power <= self.high
            )


def line_chart(title: str, lines: Sequence[Line], *, x_title: str, y_title: str) -> str:
    """One line each, named at the right, in the order given."""
    drawing = Drawing()
    xs, ys = zip(*(point for line in lines for point in line.points), strict=True)
    across = Axis(xs, LEFT, WIDTH - RIGHT)
    up = Axis(ys, HEIGHT - BOTTOM, TOP)
    drawing.text((16, 22), title, size=14, bold=True)
    drawing.text((16, 40), y_title, fill=PALE)
    drawing.text((WIDTH - RIGHT, HEIGHT - 10), x_title, anchor="end", fill=PALE)
    for tick in across.ticks():
        drawing.line([(across(tick), TOP), (across(tick), HEIGHT - BOTTOM)], stroke=GRID, width=1)
        drawing.text((across(tick), HEIGHT - BOTTOM + 16), f"{tick:g}", anchor="middle")
    for tick in up.ticks():
        drawing.line([(LEFT, up(tick)), (WIDTH - RIGHT, up(tick))], stroke=GRID, width=1)
        drawing.text((LEFT - 8, up(tick) + 4), f"{tick:g}", anchor="end")
    for place, line in enumerate(lines):
        colour = COLOURS[place % len(COLOURS)]
        points = [(across(x), up(y)) for x, y in line.points]
        drawing.line(points, stroke=colour, width=1.8)
        for point in points:
            drawing.dot(point, fill=colour)
        at = (WIDTH - RIGHT + 16, TOP + 12 + 20 * place)
        drawing.line([(at[0], at[1] - 4), (at[0] + 18, at[1] - 4)], stroke=colour, width=1.8)
        drawing.text((at[0] + 24, at[1]), line.name)
    return drawing.to_svg(WIDTH, HEIGHT, title, f"{y_title}, over {x_title}.")
