"""AUTOMATIC1111's text of a picture's making, which the tools of the field show and read, both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from gesso import __version__
from gesso.diffusion.names import resolve_sampler
from gesso.diffusion.rules import SIGMA_RULES
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.spacing import SCHEDULES
from gesso.errors import RequestError
from gesso.pipeline.profiles import PROFILES
from gesso.pipeline.reproduction_settings import reproduction_field, reproduction_settings
from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.sampling_settings import sampling_field, sampling_settings
from gesso.pipeline.task_settings import settle, short, task_field, task_settings
from gesso.text.emphasis import EMPHASES

NEGATIVE = "Negative prompt:"
FEWEST_SETTINGS = 3  # a last line with fewer is part of the prompt, as AUTOMATIC1111 sees it


def to_parameters(request: ResolvedRequest, model_name: str, index: int = 0) -> str:
    """AUTOMATIC1111's text for picture ``index``: prompt, negative prompt and one line of settings."""
    settings = {
        "Steps": str(request.steps),
        "Sampler": SAMPLERS[request.sampler].label,
        "Schedule type": SCHEDULES[request.schedule].label,
        "CFG scale": short(request.guidance_scale),
        "Seed": str(request.seed_of(index)),
        "Size": f"{request.width}x{request.height}",
        "Model": model_name.encode("utf-8", "replace").decode("utf-8"),
    }
    if request.clip_skip > 1:
        settings["Clip skip"] = str(request.clip_skip)
    if request.emphasis != "a1111":
        settings["Emphasis"] = EMPHASES[request.emphasis].label
    settings |= reproduction_settings(request, index)
    settings |= sampling_settings(request)
    settings |= task_settings(request, index)
    settings["Version"] = f"gesso {__version__}"
    lines = [
        *([request.prompt] if request.prompt else []),
        *([f"{NEGATIVE} {request.negative_prompt}"] if request.negative_prompt else []),
        ", ".join(f"{name}: {_quoted(value)}" for name, value in settings.items()),
    ]
    return "\n".join(lines)


def from_parameters(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Read AUTOMATIC1111's text.

    Prompts come back as they were written, unless a line of the prompt starts with "Negative prompt:",
    which the format cannot tell from the negative prompt itself.

    Returns:
        The fields of a request, and the settings that are none of gesso's.

    Raises:
        RequestError: a setting that should be a number is none.
    """
    body, _, last = text.rstrip().rpartition("\n")
    settings = dict(_settings(last))
    if len(settings) < FEWEST_SETTINGS:
        body, settings = text, {}
    prompt, negative_prompt = _split_prompts(body)
    fields: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative_prompt}
    unknown: dict[str, str] = {}
    for name, value in settings.items():
        try:
            known = _field_of(name, value)
        except ValueError as error:
            raise RequestError(f"{value!r} cannot be read", where=name) from error
        if known is None:
            unknown[name] = value
        else:
            fields |= known
    settle(fields, unknown)
    like = writer(settings)
    if like is not None:
        _settle_schedule(fields, PROFILES[like].customs["sigma_rules"])
    return fields, unknown


def writer(settings: Mapping[str, str]) -> str | None:
    """The profile of the program whose settings these are, if it is one that is not gesso and is known."""
    version, app = settings.get("Version", ""), settings.get("App", "")
    if version.startswith("gesso ") or app:
        return None
    if version == "ComfyUI":
        return "comfyui"
    return "forge" if re.match(r"f\d", version) else "a1111"


def _settle_schedule(fields: dict[str, Any], rules: str) -> None:
    """What is meant where AUTOMATIC1111 does not say, or says it of a sampler that has no choice.

    Up to version 1.8 it had no schedule types: "DPM++ 2M" was even in timesteps, "DPM++ 2M Karras" another
    sampler.
    """
    try:
        sampler, schedule = resolve_sampler(fields.get("sampler", ""))
    except RequestError:
        return  # it is refused with the request, unless another takes its place
    if sampler.name in SIGMA_RULES[rules].chains:
        fields["schedule"] = None
    elif (
        "schedule" not in fields and schedule is None and sampler.name not in SIGMA_RULES[rules].left_alone
    ):
        fields["schedule"] = "uniform"


def _field_of(name: str, value: str) -> dict[str, Any] | None:
    """The request's fields for one setting; None if it is none of gesso's."""
    match name:
        case "Steps" | "Seed" | "Clip skip":
            return {name.lower().replace(" ", "_"): int(value)}
        case "Sampler":
            return {"sampler": value}
        case "Schedule type":
            return {"schedule": value}
        case "CFG scale":
            return {"guidance_scale": float(value)}
        case "Emphasis":
            return next(({"emphasis": way.name} for way in EMPHASES.values() if way.label == value), None)
        case "Size":
            width, _, height = value.partition("x")
            return {"width": int(width), "height": int(height)}
        case _:
            for reader in (sampling_field, task_field, reproduction_field):
                known = reader(name, value)
                if known is not None:
                    return known
            return None


def _split_prompts(body: str) -> tuple[str, str]:
    if body.startswith(NEGATIVE):
        return "", body.removeprefix(NEGATIVE).removeprefix(" ")
    prompt, _, negative_prompt = body.partition(f"\n{NEGATIVE}")
    return prompt, negative_prompt.removeprefix(" ")


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """The pairs of "name: value, name: value"; a value may be a JSON string, or any list or object."""
    decoder = json.JSONDecoder(strict=False)
    place = 0
    while (colon := line.find(":", place)) >= 0:
        name = line[place:colon].rpartition(",")[2].strip()
        place = colon + 1
        while line.startswith(" ", place):
            place += 1
        value, begin = None, place
        if line.startswith(('"', "[", "{"), place):
            with suppress(ValueError, RecursionError):  # a quotation mark, or a bracket, like any other
                value, place = decoder.raw_decode(line, place)
        if value is not None and not isinstance(value, str):
            value = line[begin:place]
        comma = line.find(",", place)
        end = len(line) if comma < 0 else comma
        yield name, value if value is not None else line[place:end].strip()
        place = end + 1


def _quoted(value: str) -> str:
    """As AUTOMATIC1111 does it: only what would break the line is quoted."""
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',:\n"') else value
