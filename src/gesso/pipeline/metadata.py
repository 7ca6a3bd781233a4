"""What a PNG file says about how it was made, both ways.

Two texts go into each picture: AUTOMATIC1111's ``parameters``, which the tools of the field show and read,
and gesso's own ``gesso``, the whole request as JSON, which alone is exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from PIL.PngImagePlugin import PngInfo

from gesso import __version__
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.spacing import SCHEDULES
from gesso.errors import ImageError, RequestError
from gesso.pipeline.png_text import read_png_texts
from gesso.pipeline.request import GenerationRequest, ResolvedRequest
from gesso.pipeline.sampling_settings import sampling_field, sampling_settings
from gesso.pipeline.task_settings import settle_strength, short, task_field, task_settings
from gesso.text.emphasis import EMPHASES

NEGATIVE = "Negative prompt:"
FEWEST_SETTINGS = 3  # a last line with fewer is part of the prompt, as AUTOMATIC1111 sees it


@dataclass(frozen=True)
class ReadRequest:
    """What a picture says of its making.

    Attributes:
        fields: of its request, as `GenerationRequest.to_json` writes them; not yet validated.
        model: what its model was called; None if it does not say.
        unknown: settings that are none of gesso's, by name; the picture may have depended on them.
        source: which of the two texts it comes from.
    """

    fields: dict[str, Any]
    model: str | None
    unknown: dict[str, str]
    source: Literal["gesso", "parameters"]

    def request(self, **changes: object) -> GenerationRequest:
        """The request, with some fields changed.

        Raises:
            RequestError: gesso cannot draw it, for want of a sampler, say.
        """
        return GenerationRequest.from_json({**self.fields, **changes})


def png_info(request: ResolvedRequest, model_name: str, index: int = 0) -> PngInfo:
    """Both texts for picture ``index`` of a request: that picture alone, whatever batch it was drawn in."""
    own = {"gesso": __version__, "model": model_name, "request": request.picture(index).to_json()}
    info = PngInfo()
    info.add_text("parameters", to_parameters(request, model_name, index))
    info.add_text("gesso", json.dumps(own))
    return info


def read_request(path: Path) -> ReadRequest:
    """Read the request a picture was made with: gesso's own text, or else AUTOMATIC1111's.

    Raises:
        ImageError: the file is not readable, is no PNG, carries no request or a damaged one.
    """
    texts = read_png_texts(path, ("gesso", "parameters"))
    if "gesso" in texts:
        return _from_own(texts["gesso"], path)
    if "parameters" in texts:
        try:
            fields, unknown = from_parameters(texts["parameters"])
        except RequestError as error:
            raise ImageError(f"its parameters are not readable: {error}", where=str(path)) from error
        model = unknown.pop("Model", None)
        unknown.pop("Version", None)
        return ReadRequest(fields, model, unknown, "parameters")
    raise ImageError(
        "it carries no request", "Only pictures saved by gesso or AUTOMATIC1111 do.", where=str(path)
    )


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
    settle_strength(fields)
    return fields, unknown


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
            return sampling_field(name, value) or task_field(name, value)


def _split_prompts(body: str) -> tuple[str, str]:
    if body.startswith(NEGATIVE):
        return "", body.removeprefix(NEGATIVE).removeprefix(" ")
    prompt, _, negative_prompt = body.partition(f"\n{NEGATIVE}")
    return prompt, negative_prompt.removeprefix(" ")


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """The pairs of "name: value, name: value"; a value that starts with a quote is a JSON string."""
    decoder = json.JSONDecoder(strict=False)
    place = 0
    while (colon := line.find(":", place)) >= 0:
        name = line[place:colon].rpartition(",")[2].strip()
        place = colon + 1
        while line.startswith(" ", place):
            place += 1
        value = None
        if line.startswith('"', place):
            try:
                value, place = decoder.raw_decode(line, place)
            except ValueError:
                value = None  # a quotation mark like any other
        comma = line.find(",", place)
        end = len(line) if comma < 0 else comma
        yield name, cast(str, value) if value is not None else line[place:end].strip()
        place = end + 1


def _quoted(value: str) -> str:
    """As AUTOMATIC1111 does it: only what would break the line is quoted."""
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',:\n"') else value


def _from_own(text: str, path: Path) -> ReadRequest:
    try:
        own = json.loads(text)
        fields, model = own["request"], own.get("model")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ImageError("its gesso text is damaged", where=str(path)) from error
    if not isinstance(fields, dict):
        raise ImageError("its gesso text is damaged", where=str(path))
    return ReadRequest(cast(dict[str, Any], fields), model if isinstance(model, str) else None, {}, "gesso")
