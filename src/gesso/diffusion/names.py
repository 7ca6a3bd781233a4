"""What people call samplers and schedules -> the ones meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from gesso.diffusion.samplers import SAMPLERS, Sampler
from gesso.diffusion.spacing import SCHEDULES, Schedule
from gesso.errors import RequestError

AUTOMATIC = "automatic"
"""AUTOMATIC1111's word for a sampler's own default schedule."""


def resolve_sampler(name: str) -> tuple[Sampler, Schedule | None]:
    """Find a sampler by gesso's name ("dpmpp_2m") or AUTOMATIC1111's label ("DPM++ 2M Karras").

    Case, spaces, hyphens and underscores do not matter.

    Returns:
        The sampler, and the schedule if the name ends in one, else None.

    Raises:
        RequestError: no sampler is called that; the message suggests the nearest.
    """
    found = _samplers().get(_key(name))
    if found:
        return found
    raise _unknown("sampler", name, SAMPLERS.values())


def resolve_schedule(name: str) -> Schedule | None:
    """Find a schedule by name or label; None for "automatic", the sampler's default.

    Raises:
        RequestError: no schedule is called that; the message suggests the nearest.
    """
    key = _key(name)
    if key == AUTOMATIC:
        return None
    for schedule in SCHEDULES.values():
        if key in _keys(schedule):
            return schedule
    raise _unknown("schedule", name, SCHEDULES.values())


@cache
def _samplers() -> dict[str, tuple[Sampler, Schedule | None]]:
    """Every way to write a sampler, alone and with a schedule at its end."""
    endings = [("", None), *((key, schedule) for schedule in SCHEDULES.values() for key in _keys(schedule))]
    return {
        key + ending: (sampler, schedule)
        for ending, schedule in endings
        for sampler in SAMPLERS.values()
        for key in _keys(sampler)
    }


def _keys(entry: Sampler | Schedule) -> set[str]:
    return {_key(word) for word in (entry.name, entry.label)}


def _key(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.casefold().replace("++", "pp"))


def _unknown(field: str, name: str, known: Iterable[Sampler | Schedule]) -> RequestError:
    by_key = {_key(word): entry.name for entry in known for word in (entry.name, entry.label)}
    nearest = get_close_matches(_key(name), by_key, n=1)
    names = ", ".join(dict.fromkeys(by_key.values()))
    advice = f'Did you mean "{by_key[nearest[0]]}"? ' if nearest else ""
    return RequestError(f'no {field} is called "{name}"', f"{advice}There are: {names}.", where=field)
