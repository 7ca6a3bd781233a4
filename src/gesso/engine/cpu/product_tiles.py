"""The inner loops of matrix products: tiles of sums that stay in registers.

Six rows by two vectors are twelve registers of sums; two more hold what stands in a row of the second
factor and one a number of the first, so that sixteen are enough (Goto & van de Geijn 2008, "Anatomy of
High-Performance Matrix Multiplication"; Van Zee & van de Geijn 2015, "BLIS", have the same tile).
"""

from __future__ import annotations

import math

from gesso.engine.cpu.vectors import (
    LANES,
    SQUARE,
    Pointer,
    Register,
    Vector,
    Whole,
    transposed,
    vector_code,
)

ROWS = 6
"""Rows of a tile."""

PANEL = 2 * LANES
"""Columns of a tile."""

COLUMNS = range(0, PANEL, LANES)
"""Where a tile's vectors begin."""

UNROLLED = 8
"""Numbers of a row in a turn of the loop."""


ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
"""Abramowitz & Stegun 1964, formula 7.1.26: the error function to 1.5e-7."""


@vector_code
def take_columns(weight: Pointer, k: Whole, panel: Pointer) -> None:
    """As many rows of a weight (PANEL, k) as a tile has columns -> columns of a panel (k, PANEL)."""
    with k.steps(SQUARE) as c:
        for first in range(0, PANEL, SQUARE):
            rows = [weight.vector(k * row + c, SQUARE) for row in range(first, first + SQUARE)]
            for index, column in enumerate(transposed(rows)):
                panel.put(column, (c + index) * PANEL + first)


@vector_code
def begin_tile(
    x: Pointer,
    x_stride: Whole,
    panel: Pointer,
    count: Whole,
    bias: Pointer,
    y: Pointer,
    y_stride: Whole,
    last: Whole,
) -> None:
    """Six rows of x by a panel, both of so many numbers, plus the bias (PANEL,) -> six rows of y.

    Args:
        x_stride, y_stride: from one row of x, or of y, to the next.
        last: index of the last row that there is, which stands for those after it; they are not written.
    """
    shift = [bias.vector(column) for column in COLUMNS]
    multiply(x, x_stride, panel, count, [shift] * ROWS, y, y_stride, last)


@vector_code
def continue_tile(
    x: Pointer, x_stride: Whole, panel: Pointer, count: Whole, y: Pointer, y_stride: Whole, last: Whole
) -> None:
    """Add six rows of x by a panel to what six rows of y hold; arguments as of `begin_tile`."""
    starts = [(y_stride * row).at_most(y_stride * last) for row in range(ROWS)]
    sums = [[y.vector(start + column) for column in COLUMNS] for start in starts]
    multiply(x, x_stride, panel, count, sums, y, y_stride, last)


def multiply(
    x: Pointer,
    x_stride: Whole,
    panel: Pointer,
    count: Whole,
    begin: list[list[Vector]],
    y: Pointer,
    y_stride: Whole,
    last: Whole,
) -> None:
    """Emit the loop over the numbers of a row, and what puts the sums into y."""
    starts = [(x_stride * row).at_most(x_stride * last) for row in range(ROWS)]
    sums = [[Register(vector) for vector in row] for row in begin]

    def add_products(c: Whole) -> None:
        columns = [panel.vector(c * PANEL + column) for column in COLUMNS]
        for start, row in zip(starts, sums, strict=True):
            number = x.number(start + c).vector()
            for column, total in zip(columns, row, strict=True):
                total.vector = number.times(column, plus=total.vector)

    count.each(add_products, UNROLLED)
    for index, row in enumerate(sums):
        start = y_stride * index
        with start.if_at_most(y_stride * last):
            for column, total in zip(COLUMNS, row, strict=True):
                y.put(total.vector, start + column)


@vector_code
def gate_row(both: Pointer, count: Whole, y: Pointer) -> None:
    """value · GELU(gate): so many values and, after them, as many gates -> y."""
    with count.steps(LANES) as c:
        value, gate = both.vector(c), both.vector(count + c)
        y.put(value * gelu(gate), c)


def gelu(x: Vector) -> Vector:
    """x · Φ(x) (Hendrycks & Gimpel 2016)."""
    one, half = x.constant(1.0), x.constant(0.5)
    size = x.call("fabs") * x.constant(math.sqrt(0.5))
    t = one / size.times(x.constant(0.3275911), plus=one)
    polynomial = x.constant(ERF[-1])
    for coefficient in ERF[-2::-1]:
        polynomial = polynomial.times(t, plus=x.constant(coefficient))
    tail = polynomial * t * (size * size * x.constant(-math.log2(math.e))).power_of_two()  # 1 - erf
    return x * (one + (one - tail).call("copysign", x)) * half
