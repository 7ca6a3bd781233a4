"""A request's fields as JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gesso.errors import RequestError
from gesso.pipeline.fields import check_whole, unknown_field
from gesso.pipeline.profiles import find_profile

FORMAT_VERSION = 1


def write_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by name as JSON values, with the version of the format."""
    return {"version": FORMAT_VERSION, **{name: _as_json(value) for name, value in values.items()}}


def read_fields(value: object, names: Sequence[str]) -> dict[str, Any]:
    """The fields that a JSON object gives, those of a profile it names among them.

    Args:
        names: of all fields there are.

    Raises:
        RequestError: it is not an object, of a later version, without a prompt, or has an unknown field; or
            the program is unknown.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"a request is a JSON object, not {type(value).__name__}")
    given = {str(name): entry for name, entry in value.items()}
    version = check_whole(given.pop("version", FORMAT_VERSION), "version", 1, 2**31)
    if version > FORMAT_VERSION:
        raise RequestError(
            f"{version} is later than {FORMAT_VERSION}, the latest this gesso reads",
            "Update gesso.",
            where="version",
        )
    program = given.pop("like", None)
    if program is not None:
        given = find_profile(program).fill(given)
    for name in given:
        if name not in names:
            raise unknown_field(name, [*names])
    if "prompt" not in given:
        raise RequestError("it is missing", "Every request has one; it may be empty.", where="prompt")
    return given


def _as_json(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value
