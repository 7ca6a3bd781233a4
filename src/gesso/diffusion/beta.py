"""Quantiles of the beta distribution."""

from __future__ import annotations

import math

TERMS = 200
"""Enough of the series at x = 1/2, where it converges slowest: each term is half the one before."""

NEWTON_STEPS = 50
"""More than it ever takes; a handful in fact."""


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x in 0 … 1 with I_x(a, b) = p: the inverse of the regularised incomplete beta function.

    Beyond x = 1/2 the other tail is taken: I_x(a, b) = 1 − I_{1−x}(b, a) (Abramowitz and Stegun 1964,
    26.5.2).

    Args:
        p: 0 … 1.
        a: above 0, at most 1.
        b: likewise.
    """
    if p <= regularised_beta(0.5, a, b):
        return lower_quantile(p, a, b)
    return 1 - lower_quantile(1 - p, b, a)


def lower_quantile(p: float, a: float, b: float) -> float:
    """`beta_quantile` up to 1/2, by Newton's method in y = xᵃ, where I is smooth and nearly straight."""
    whole = math.gamma(a) * math.gamma(b) / math.gamma(a + b)
    y = min(p * a * whole, 0.5**a)
    for _ in range(NEWTON_STEPS):
        x = y ** (1 / a)
        correction = (regularised_beta(x, a, b) - p) * a * whole * (1 - x) ** (1 - b)
        y = max(y - correction, 0.0)  # rounding could lead below, where powers are complex
        if abs(correction) <= 1e-15 * y:
            break
    return y ** (1 / a)


def regularised_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) for x up to 1/2, by its power series around 0."""
    term, total = 1.0, 1 / a
    for n in range(1, TERMS):
        term *= x * (n - b) / n
        total += term / (a + n)
        if abs(term) <= 1e-17 * total:
            break
    return x**a * total * math.gamma(a + b) / (math.gamma(a) * math.gamma(b))
