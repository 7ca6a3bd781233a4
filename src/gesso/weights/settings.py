"""A configuration file of a Diffusers folder, read with a check on every value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gesso.errors import FormatError, WrongKindError
from gesso.weights.formats import AGAIN, read_head, refuse_known
from gesso.weights.kinds import ONLY_SD1

LARGEST = 1_000_000
"""No size in a configuration is larger."""

MOST_LEVELS = 16
"""No network has more levels; guards, as the limits on layers, against one that would be built forever."""


class Settings:
    """The values of a configuration, and where it is from, for messages."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise FormatError("is not a JSON object", AGAIN, where=where)
        self.values: dict[str, Any] = values
        self.where = where

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(read_json(path), str(path))

    def require(self, fixed: Mapping[str, object]) -> None:
        """Refuse any setting that asks for a network other than SD 1.x's."""
        for name, only in fixed.items():
            value = self.values.get(name, only)
            if value != only:
                raise WrongKindError(
                    f"{name} is {json.dumps(value)}; Stable Diffusion 1.x has {json.dumps(only)}",
                    ONLY_SD1,
                    where=self.where,
                )

    def whole(self, name: str, default: int, limit: int = LARGEST) -> int:
        value = self.values.get(name, default)
        if type(value) is not int or not 1 <= value <= limit:
            raise self.bad(name, f"a whole number from 1 to {limit:,}")
        return value

    def same(self, name: str, default: int, limit: int = LARGEST) -> int:
        """A whole number, or a list, one a level, that repeats it."""
        value = self.values.get(name)
        if isinstance(value, list):
            self.require({name: [*value[:1]] * len(value)})
            self.values[name] = value[0] if value else None
        return self.whole(name, default, limit)

    def divisor(self, name: str, default: int, widths: tuple[int, ...]) -> int:
        """A whole number, or a list that repeats it, which divides every width."""
        value = self.same(name, default)
        if any(width % value for width in widths):
            raise FormatError(f"{name} is {value}, which does not divide {widths}", where=self.where)
        return value

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if type(value) not in (int, float) or not 0 < value < LARGEST:
            raise self.bad(name, "a positive number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name, default)
        if type(value) is not bool:
            raise self.bad(name, "true or false")
        return value

    def wholes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self.values.get(name, list(default))
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_LEVELS:
            raise self.bad(name, f"a list of up to {MOST_LEVELS} whole numbers")
        if any(type(item) is not int or not 1 <= item <= LARGEST for item in value):
            raise self.bad(name, f"a list of whole numbers from 1 to {LARGEST:,}")
        return tuple(value)

    def names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.values.get(name, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.bad(name, "a list of names")
        return tuple(value)

    def choice(self, name: str, default: str, choices: Mapping[str, Any]) -> Any:
        value = self.values.get(name, default)
        if not isinstance(value, str) or value not in choices:
            raise WrongKindError(
                f"{name} is {json.dumps(value)}; gesso knows {', '.join(choices)}", where=self.where
            )
        return choices[value]

    def bad(self, name: str, expected: str) -> FormatError:
        return FormatError(f"{name} is {json.dumps(self.values[name])}, not {expected}", where=self.where)


def read_json(path: Path) -> object:
    head = read_head(path)
    if not head.lstrip().startswith(b"{"):
        refuse_known(path, head)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"is not JSON ({error})", AGAIN, where=str(path)) from error
