"""The inner loops of attention: tiles whose sums stay in registers.

Queries go in strips of three vectors, one query a lane. So the largest logit and the sum of powers of each
query are found lane by lane, and four keys (or four channels of the values) at a time give twelve vectors
of sums, which with what they are made from fill sixteen registers.
"""

from __future__ import annotations

from gesso.engine.cpu.vectors import LANES, SQUARE, Pointer, Value, Vectors, vector_code

VECTORS = 3
"""Of a strip."""

STRIP = VECTORS * LANES
"""Queries of a strip."""

ROWS = 4
"""Keys, or channels of the values, that meet a strip at a time."""


@vector_code
def take_queries(
    code: Vectors,
    q: Pointer,
    first: Value,
    last: Value,
    stride: Value,
    d: Value,
    factor: Value,
    strip: Pointer,
) -> None:
    """Eight rows of q times a factor -> columns of a strip (d, STRIP).

    Args:
        first, last: where in q the first of the rows begins, and the last row that there is, which stands
            for those after it.
        stride: from one row of q to the next.
    """
    starts = [code.least(code.add(first, code.multiply(stride, row)), last) for row in range(SQUARE)]
    factors = code.splat(factor, SQUARE)
    with code.loop(d, SQUARE) as c:
        rows = [code.load(q, code.add(start, c), SQUARE) for start in starts]
        for index, column in enumerate(code.transposed(rows)):
            code.store(code.builder.fmul(column, factors), strip, code.multiply(code.add(c, index), STRIP))


@vector_code
def take_keys(
    code: Vectors,
    k: Pointer,
    v: Pointer,
    count: Value,
    stride: Value,
    d: Value,
    keys: Pointer,
    values: Pointer,
) -> None:
    """Rows of k -> keys (count, d), rows of v -> values (d / SQUARE, count, SQUARE), without gaps.

    Args:
        stride: from one row of k and v to the next.
    """
    with code.loop(count) as key, code.loop(d, SQUARE) as c:
        place = code.add(code.multiply(key, stride), c)
        code.store(code.load(k, place, SQUARE), keys, code.add(code.multiply(key, d), c))
        column = code.add(code.multiply(c, count), code.multiply(key, SQUARE))
        code.store(code.load(v, place, SQUARE), values, column)


@vector_code
def score_keys(
    code: Vectors,
    strip: Pointer,
    keys: Pointer,
    first: Value,
    last: Value,
    d: Value,
    logits: Pointer,
    largest: Pointer,
) -> None:
    """Four keys (4, d) by a strip (d, STRIP) -> logits (4, STRIP), and what is larger than largest (STRIP).

    Args:
        first, last: where in the keys the first of the four begins, and the last key that there is, which
            stands for those after it: it does not change the largest logit.
    """
    starts = [code.least(code.add(first, code.multiply(d, row)), last) for row in range(ROWS)]
    sums = [[code.variable(code.constant(0.0)) for _ in range(VECTORS)] for _ in range(ROWS)]
    with code.loop(d) as c:
        queries = [code.load(strip, code.add(code.multiply(c, STRIP), i * LANES)) for i in range(VECTORS)]
        for row, start in zip(sums, starts, strict=True):
            key = code.splat(code.number(keys, code.add(c, start)))
            for total, query in zip(row, queries, strict=True):
                code.set(total, code.multiply_add(key, query, code.get(total)))
    for i in range(VECTORS):
        highest = code.load(largest, i * LANES)
        for row in range(ROWS):
            logit = code.get(sums[row][i])
            code.store(logit, logits, row * STRIP + i * LANES)
            highest = code.maximum(highest, logit)
        code.store(highest, largest, i * LANES)


@vector_code
def exponentiate(
    code: Vectors,
    logits: Pointer,
    count: Value,
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
    sums, highest = [], []
    for i in range(VECTORS):
        highest.append(code.load(largest, i * LANES))
        factor = code.power_of_two(code.builder.fsub(code.load(subtracted, i * LANES), highest[i]))
        code.store(factor, shrinkage, i * LANES)
        code.store(highest[i], subtracted, i * LANES)
        sums.append(code.variable(code.builder.fmul(code.load(totals, i * LANES), factor)))
    with code.loop(count) as key:
        for i in range(VECTORS):
            place = code.add(code.multiply(key, STRIP), i * LANES)
            power = code.power_of_two(code.builder.fsub(code.load(logits, place), highest[i]))
            code.store(power, logits, place)
            code.set(sums[i], code.builder.fadd(code.get(sums[i]), power))
    for i in range(VECTORS):
        code.store(code.get(sums[i]), totals, i * LANES)


@vector_code
def weigh_values(
    code: Vectors, values: Pointer, count: Value, powers: Pointer, shrinkage: Pointer, sums: Pointer
) -> None:
    """Four channels of the values by powers (count, STRIP), added to what is left of sums (4, STRIP).

    Args:
        values: of a key; the next key's are SQUARE further on.
    """
    totals = [
        [
            code.variable(
                code.builder.fmul(code.load(sums, row * STRIP + i * LANES), code.load(shrinkage, i * LANES))
            )
            for i in range(VECTORS)
        ]
        for row in range(ROWS)
    ]
    with code.loop(count) as key:
        weights = [
            code.load(powers, code.add(code.multiply(key, STRIP), i * LANES)) for i in range(VECTORS)
        ]
        for row in range(ROWS):
            value = code.splat(code.number(values, code.add(code.multiply(key, SQUARE), row)))
            for total, weight in zip(totals[row], weights, strict=True):
                code.set(total, code.multiply_add(value, weight, code.get(total)))
    for row in range(ROWS):
        for i in range(VECTORS):
            code.store(code.get(totals[row][i]), sums, row * STRIP + i * LANES)


@vector_code
def give_outputs(
    code: Vectors,
    sums: Pointer,
    totals: Pointer,
    y: Pointer,
    first: Value,
    last: Value,
    stride: Value,
    d: Value,
) -> None:
    """Eight columns of sums (d, STRIP) over their totals -> rows of y.

    Args:
        first, last, stride: as `take_queries` has them; rows after the last are not written.
    """
    starts = [code.add(first, code.multiply(stride, row)) for row in range(SQUARE)]
    factors = code.builder.fdiv(code.constant(1.0, SQUARE), code.load(totals, 0, SQUARE))
    with code.loop(d, SQUARE) as c:
        columns = [code.load(sums, code.multiply(code.add(c, i), STRIP), SQUARE) for i in range(SQUARE)]
        scaled = [code.builder.fmul(column, factors) for column in columns]
        for start, row in zip(starts, code.transposed(scaled), strict=True):
            with code.builder.if_then(code.builder.icmp_signed("<=", start, last)):
                code.store(row, y, code.add(start, c))
