"""An axis of a grid: a field of the request, and the values it takes along it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from gesso.errors import RequestError
from gesso.pipeline.field_text import NAMES, field_name, value_kinds, value_of
from gesso.pipeline.fields import unknown_field
from gesso.pipeline.pictures import Picture
from gesso.pipeline.task_settings import short

MAX_VALUES = 10_000
TEXTS = ("prompt", "negative_prompt")
ONE_PICTURE = ("count", "batch_size")
PICTURES = ("image", "mask")


@dataclass(frozen=True)
class Axis:
    """A field and its values, or words of a prompt and what stands in their place.

    As text, it is one of

    - ``sampler=euler,dpmpp_2m``: values with commas between them. One that has commas itself goes between
      quotation marks, as in a CSV file: ``prompt="a house, at night","a boat"``;
    - ``steps=10..50..10``: the numbers from 10 to 50, by steps of 10 (of 1 if there is no third), up or
      down; among other values too: ``steps=4,10..50..10``;
    - ``prompt:night=night,dawn``: the words before the = are replaced by each value, wherever they are in
      the prompt (AUTOMATIC1111's "Prompt S/R"). ``negative_prompt:…`` likewise.

    Attributes:
        field: of `gesso.GenerationRequest`.
        values: that it takes; not yet validated.
        search: the words that are replaced; None sets the whole field.
    """

    field: str
    values: Sequence[Any]
    search: str | None = None

    def __post_init__(self) -> None:
        if self.field not in NAMES:
            raise unknown_field(self.field, NAMES)
        if self.field in ONE_PICTURE:
            raise RequestError(
                "a cell of a grid is one picture", "Vary the seed for more.", where=self.field
            )
        if self.search is not None and (self.field not in TEXTS or not self.search):
            raise RequestError(
                "only words of a prompt can be replaced", "Write prompt:night=night,dawn.", where=self.field
            )
        values = tuple(self.values)
        if not values:
            raise RequestError("it has no values", "Write sampler=euler,dpmpp_2m.", where=self.field)
        if self.field in PICTURES:  # read once, not for every cell
            values = tuple(value if value is None else Picture.read(value, self.field) for value in values)
        object.__setattr__(self, "values", values)

    @classmethod
    def read(cls, text: str) -> Axis:
        """Read an axis from text.

        Raises:
            RequestError: it names no field, or a value cannot be read.
        """
        name, equals, values = text.partition("=")
        name, colon, search = name.partition(":")
        if not equals:
            raise RequestError(
                f"{text!r:.60} gives no values", "Write FIELD=VALUE,VALUE such as steps=10,20."
            )
        field = field_name(name)
        if colon:
            return cls(field, tuple(_split(values, field)), search)
        return cls(field, tuple(_values(field, values)))

    @property
    def title(self) -> str:
        """What varies along it."""
        return self.field if self.search is None else f"{self.search} …"

    def label(self, index: int) -> str:
        """What the grid's row or column of a value is called."""
        value = self.values[index]
        if value is None:
            return "none"
        if isinstance(value, float):
            return short(value)
        if isinstance(value, Picture):
            return Path(value.path).name if value.path else f"picture {index + 1}"
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    def set(self, fields: Mapping[str, Any], index: int) -> dict[str, Any]:
        """The fields of a request with this axis at one of its values.

        Raises:
            RequestError: the words to replace are not in the prompt.
        """
        value = self.values[index]
        if self.search is not None:
            text = fields[self.field]
            if self.search not in text:
                raise RequestError(f"{self.search!r:.60} is not in it", where=self.field)
            value = text.replace(self.search, value)
        return {**fields, self.field: value}

    def to_json(self) -> dict[str, Any]:
        values = [value.to_json() if hasattr(value, "to_json") else value for value in self.values]
        return {"field": self.field, "search": self.search, "values": values}


def _values(field: str, text: str) -> Iterator[Any]:
    numbers = bool(value_kinds(field) & {"int", "float"})
    for part in _split(text, field):
        try:
            if numbers and ".." in part:
                yield from _range(field, part)
            else:
                yield value_of(field, part)
        except RequestError as error:
            advice = error.advice or ("Write 10,20,30, or a range: 10..50..10." if numbers else "")
            raise RequestError(error.problem, advice, where=error.where) from error


def _split(text: str, field: str) -> list[str]:
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise RequestError(
            f"its values cannot be told apart ({error})", 'Write "a, b",c.', where=field
        ) from error
    return [value.strip() for value in (rows[0] if rows and rows[0] else [""])]


def _range(field: str, text: str) -> Iterator[int | float]:
    """All numbers from the first to the last by the third, exactly as they are written."""
    advice = "Write FIRST..LAST..STEP, such as 10..50..10."
    parts = [part.strip() for part in text.split("..")]
    numbers = [value_of(field, part) for part in parts]
    if len(parts) not in (2, 3) or None in numbers or not all(map(math.isfinite, numbers)):
        raise RequestError(f"{text!r:.60} is no range", advice, where=field)
    # By their digits: as Fraction(0.1) it would be what a float makes of it.
    start, stop, step = (Fraction(str(number)) for number in (*numbers, 1)[:3])
    if step <= 0:
        raise RequestError(f"{text!r:.60} is a range by {parts[2]:.20}", advice, where=field)
    count = abs(stop - start) // step + 1
    if count > MAX_VALUES:
        raise RequestError(f"{text!r:.60} has more than {MAX_VALUES:,} values", advice, where=field)
    number = type(numbers[0])
    for index in range(count):
        yield number(start + (step if stop > start else -step) * index)
