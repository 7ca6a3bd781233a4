"""A request's fields as text: in the cells of a table, and on the axes of a grid."""

from __future__ import annotations

import reprlib
from dataclasses import Field, fields
from typing import Any

from gesso.errors import RequestError
from gesso.pipeline.fields import unknown_field
from gesso.pipeline.request import GenerationRequest

FIELDS: dict[str, Field[Any]] = {entry.name: entry for entry in fields(GenerationRequest)}
PROFILE = "like"
"""No field, but what fills in those that are left out; see `GenerationRequest.from_json`."""

NAMES = (*FIELDS, PROFILE)
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")
MAX_DIGITS = 40  # no field has a number of more, and Python takes its time over thousands


def field_name(text: str) -> str:
    """The field that a person means: "Guidance scale" and "guidance-scale" are guidance_scale.

    Raises:
        RequestError: there is no such field.
    """
    name = "_".join(text.casefold().replace("-", " ").replace("_", " ").split())
    if name not in NAMES:
        raise unknown_field(text.strip(), NAMES)
    return name


def value_of(name: str, text: str) -> Any:
    """What text says for a field: a number, true or false, or the text itself. It is not checked further.

    "none" leaves open what may be left open.

    Raises:
        RequestError: the field takes a number or true or false, and the text is none.
    """
    kinds, plain = value_kinds(name), text.strip()
    if name in FIELDS and FIELDS[name].default is None and plain.casefold() == "none":
        return None
    if "bool" in kinds:
        return _truth(name, plain)
    if "int" in kinds:
        return _number(int, plain, name, "whole number")
    if "float" in kinds:
        return _number(float, plain, name, "number")
    return text


def value_kinds(name: str) -> set[str]:
    """The kinds of values a field takes, as its annotation names them: {"int", "None"}."""
    if name == PROFILE:
        return {"str"}
    return {kind.strip() for kind in str(FIELDS[name].type).split("|")}


def _truth(name: str, text: str) -> bool:
    if text.casefold() not in TRUE + FALSE:
        raise RequestError(f"{reprlib.repr(text)} is neither true nor false", where=name)
    return text.casefold() in TRUE


def _number(read: type[int] | type[float], text: str, name: str, what: str) -> float:
    try:
        if len(text) > MAX_DIGITS:
            raise ValueError
        return read(text)
    except ValueError:
        raise RequestError(f"{reprlib.repr(text)} is not a {what}", where=name) from None
