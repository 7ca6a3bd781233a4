"""A configuration file of a Diffusers folder, read with a check on every value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gesso.errors import FormatError, WrongKindError
from gesso.weights.formats import AGAIN, read_head, refuse_known

LARGEST = 1_000_000
"""No size in a configuration is larger; guards against a configuration that would build forever."""


class Settings:
    """A configuration file, read with Diffusers' defaults for what it leaves out."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        value = read_json(path)
        if not isinstance(value, dict):
            raise FormatError("is not a JSON object", AGAIN, where=self.where)
        self.values: dict[str, Any] = value

    def require(self, fixed: Mapping[str, object]) -> None:
        """Refuse any setting that asks for a network other than SD 1.x's."""
        for name, only in fixed.items():
            value = self.values.get(name, only)
            if value != only:
                raise WrongKindError(
                    f"{name} is {json.dumps(value)}; Stable Diffusion 1.x has {json.dumps(only)}",
                    "gesso runs Stable Diffusion 1.x models.",
                    where=self.where,
                )

    def whole(self, name: str, default: int) -> int:
        value = self.values.get(name, default)
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise self.bad(name, "a positive whole number")
        return value

    def same(self, name: str, default: int) -> int:
        """A whole number, or a list, one a level, that repeats it."""
        value = self.values.get(name)
        if isinstance(value, list):
            self.require({name: [*value[:1]] * len(value)})
            self.values[name] = value[0] if value else None
        return self.whole(name, default)

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if type(value) not in (int, float) or not 0 < value < LARGEST:
            raise self.bad(name, "a positive number")
        return float(value)

    def wholes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self.values.get(name, list(default))
        if not isinstance(value, list) or not 1 <= len(value) <= 16:
            raise self.bad(name, "a list of positive whole numbers")
        if any(type(item) is not int or not 1 <= item <= LARGEST for item in value):
            raise self.bad(name, "a list of positive whole numbers")
        return tuple(value)

    def names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.values.get(name, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.bad(name, "a list of names")
        return tuple(value)

    def choice(self, name: str, default: str, choices: Mapping[str, Any]) -> Any:
        value = self.values.get(name, default)
        if value not in choices:
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
