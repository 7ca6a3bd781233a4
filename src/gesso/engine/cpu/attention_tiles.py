"""The inner loops of attention: tiles whose sums stay in registers.

Queries go in strips of three vectors, one query a lane. So the largest logit and the sum of powers of each
query are found lane by lane, and four keys (or four channels of the values) at a time give twelve vectors
of sums, which with what they are made from fill sixteen registers.
"""

from __future__ import annotations

from gesso.engine.cpu.vectors import (
    LANES,
    SQUARE,
    Number,
    Pointer,
    Register,
    Whole,
    transposed,
    vector_code,
)

STRIP = 3 * LANES
"""Queries of a strip."""

COLUMNS = range(0, STRIP, LANES)
"""Where a strip's vectors begin."""

ROWS = 4
"""Keys, or channels of the values, that meet a strip at a time."""

UNROLLED = 8
"""Channels, or keys, in a turn of the loops that multiply."""


@vector_code
def take_queries(
    q: Pointer, first: Whole, last: Whole, stride: Whole, d: Whole, factor: Number, strip: Pointer
) -> None:
    """Eight rows of q times a factor -> columns of a strip (d, STRIP).

    Args:
        first, last: where in q the first of the rows begins, and the last row that there is, which stands
            for those after it.
        stride: from one row of q to the next.
    """
    starts = [(first + stride * row).at_most(last) for row in range(SQUARE)]
    factors = factor.vector(SQUARE)
    with d.steps(SQUARE) as c:
        rows = [q.vector(start + c, SQUARE) for start in starts]
        for index, column in enumerate(transposed(rows)):
            strip.put(column * factors, (c + index) * STRIP)


@vector_code
def take_keys(
    k: Pointer, v: Pointer, count: Whole, stride: Whole, d: Whole, keys: Pointer, values: Pointer
) -> None:
    """Rows of k -> keys (count, d), rows of v -> values (d / SQUARE, count, SQUARE), without gaps.

    Args:
        stride: from one row of k and v to the next.
    """
    with count.steps() as key, d.steps(SQUARE) as c:
        place = key * stride + c
        keys.put(k.vector(place, SQUARE), key * d + c)
        values.put(v.vector(place, SQUARE), c * count + key * SQUARE)


@vector_code
def score_keys(
    strip: Pointer,
    keys: Pointer,
    first: Whole,
    last: Whole,
    d: Whole,
    logits: Pointer,
    largest: Pointer,
) -> None:
    """Four keys (4, d) by a strip (d, STRIP) -> logits (4, STRIP), and what is larger than largest (STRIP).

    Args:
        first, last: where in the keys the first of the four begins, and the last key that there is, which
            stands for those after it: it does not change the largest logit.
    """
    starts = [(first + d * row).at_most(last) for row in range(ROWS)]
    zero = largest.vector(0).constant(0.0)
    sums = [[Register(zero) for _ in COLUMNS] for _ in starts]

    def add_products(c: Whole) -> None:
        queries = [strip.vector(c * STRIP + column) for column in COLUMNS]
        for start, row in zip(starts, sums, strict=True):
            key = keys.number(start + c).vector()
            for query, total in zip(queries, row, strict=True):
                total.vector = key.times(query, plus=total.vector)

    d.each(add_products, UNROLLED)
    for index, column in enumerate(COLUMNS):
        highest = largest.vector(column)
        for row in range(ROWS):
            logit = sums[row][index].vector
            logits.put(logit, row * STRIP + column)
            highest = highest.maximum(logit)
        largest.put(highest, column)


@vector_code
def exponentiate(
    logits: Pointer,
    count: Whole,
    largest: Pointer,
    subtracted: Pointer,
    totals: Pointer,
    shrinkage: Pointer,
) -> None:
    """Logits (count, STRIP) -> their powers of two relative to the largest, in place.

    Args:
        largest: of all logits so far, (STRIP,).
        subtracted: the largest before these; becomes the largest.
        totals: sums of the powers; these are added.
        shrinkage: becomes what earlier powers, relative to an earlier largest, are to be multiplied with.
    """
    highest = [largest.vector(column) for column in COLUMNS]
    sums = []
    for column, high in zip(COLUMNS, highest, strict=True):
        factor = (subtracted.vector(column) - high).power_of_two()
        shrinkage.put(factor, column)
        subtracted.put(high, column)
        sums.append(Register(totals.vector(column) * factor))
    with count.steps() as key:
        for column, high, total in zip(COLUMNS, highest, sums, strict=True):
            place = key * STRIP + column
            power = (logits.vector(place) - high).power_of_two()
            logits.put(power, place)
            total.vector = total.vector + power
    for column, total in zip(COLUMNS, sums, strict=True):
        totals.put(total.vector, column)


@vector_code
def weigh_values(values: Pointer, count: Whole, powers: Pointer, shrinkage: Pointer, sums: Pointer) -> None:
    """Four channels of the values by powers (count, STRIP), added to what is left of sums (4, STRIP).

    Args:
        values: of a key; the next key's are SQUARE further on.
    """
    tile = [(row, column) for row in range(ROWS) for column in COLUMNS]
    totals = {
        (row, column): Register(sums.vector(row * STRIP + column) * shrinkage.vector(column))
        for row, column in tile
    }

    def add_key(key: Whole) -> None:
        weights = {column: powers.vector(key * STRIP + column) for column in COLUMNS}
        for row in range(ROWS):
            value = values.number(key * SQUARE + row).vector()
            for column, weight in weights.items():
                total = totals[row, column]
                total.vector = value.times(weight, plus=total.vector)

    count.each(add_key, UNROLLED)
    for row, column in tile:
        sums.put(totals[row, column].vector, row * STRIP + column)


@vector_code
def give_outputs(
    sums: Pointer, totals: Pointer, y: Pointer, first: Whole, last: Whole, stride: Whole, d: Whole
) -> None:
    """Eight columns of sums (d, STRIP) over their totals -> rows of y.

    Args:
        first, last, stride: as `take_queries` has them; rows after the last are not written.
    """
    starts = [first + stride * row for row in range(SQUARE)]
    total = totals.vector(0, SQUARE)
    factors = total.constant(1.0) / total
    with d.steps(SQUARE) as c:
        columns = [sums.vector((c + index) * STRIP, SQUARE) * factors for index in range(SQUARE)]
        for start, row in zip(starts, transposed(columns), strict=True):
            with start.if_at_most(last):
                y.put(row, start + c)
