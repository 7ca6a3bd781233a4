"""What a field of a request may hold: each check returns the value as a plain Python one, or refuses it."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Real
from operator import index

from gesso.errors import RequestError


def check_whole(value: object, where: str, low: int, high: int) -> int:
    """A whole number from low to high; True and 3.0 are none."""
    number = _as_whole(value, where)
    if not low <= number <= high:
        raise _outside(value, where, f"{low}…{high}", f"Use a whole number from {low} to {high}.")
    return number


def check_real(value: object, where: str, low: float, high: float) -> float:
    """A finite number from low to high."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise RequestError(f"{_shown(value)} is not a number", "Use one such as 7.5.", where=where)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not low <= number <= high:
        raise _outside(value, where, f"{low:g}…{high:g}", f"Use a number from {low:g} to {high:g}.")
    return number


def check_side(value: object, where: str, multiple: int, high: int) -> int:
    """A width or height in pixels, at most high: a multiple of what the model divides pictures into."""
    side = _as_whole(value, where)
    if side > high:
        raise _outside(value, where, f"{multiple}…{high}", "Use a smaller one.")
    if side < multiple or side % multiple:
        below = side // multiple * multiple
        nearest = [str(near) for near in (below, below + multiple) if multiple <= near <= high]
        raise RequestError(
            f"{_shown(value)} is not a positive multiple of {multiple}",
            f"Use {' or '.join(nearest or [str(multiple)])}.",
            where=where,
        )
    return side


def check_name(value: object, where: str) -> str:
    """A name, which is not looked up here."""
    if not isinstance(value, str):
        raise RequestError(f"{_shown(value)} is not a name", "Use one such as euler.", where=where)
    return value


def as_number(value: object) -> object:
    """What a string says, or what it is, for a check to refuse."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def unknown_field(name: str, names: Sequence[str]) -> RequestError:
    """What to say of a field that a request has not."""
    nearest = get_close_matches(name, names, n=1)
    advice = f"Did you mean {nearest[0]}?" if nearest else f"The fields are {', '.join(names)}."
    return RequestError("a request has no such field", advice, where=f"{name:.60}")


def _as_whole(value: object, where: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        problem = f"{_shown(value)} is not a whole number"
        raise RequestError(problem, "Use one such as 8.", where=where) from None


def _outside(value: object, where: str, allowed: str, advice: str) -> RequestError:
    return RequestError(f"{_shown(value)} is outside {allowed}", advice, where=where)


def _shown(value: object) -> str:
    """The value as a message shows it, shortened."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes out no integer of more than 4,300 digits
        return "a number of thousands of digits"
