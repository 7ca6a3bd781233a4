"""Whose customs a request follows, in AUTOMATIC1111's words where it has some, both ways."""

from __future__ import annotations

from typing import Any

from gesso.pipeline.request import ResolvedRequest

RNG = {"cpu": "CPU", "cuda": "NV", "cpu_then_cuda": "CPU then NV"}
SOURCES = {name: source for source, name in RNG.items()} | {"GPU": "cuda"}
CHUNK = 75
"""Tokens a chunk: no shorter text, in bytes, has more."""

OWN_WORDS = {
    "sigma_rules": ("Sigma rules", "diffusers"),
    "image_rules": ("Image rules", "diffusers"),
    "prompt_timing": ("Prompt timing", "steps"),
}
FIELDS = {label: name for name, (label, _) in OWN_WORDS.items()}


def reproduction_settings(request: ResolvedRequest, index: int) -> dict[str, str]:
    """The settings of picture ``index``; those of AUTOMATIC1111's that are not there have its defaults."""
    settings: dict[str, str] = {}
    if request.eta_seed_delta:
        settings["ENSD"] = str(request.eta_seed_delta)
    settings["RNG"] = RNG[request.noise_source]
    if request.discard_penultimate is not None:
        settings["Discard penultimate sigma"] = str(request.discard_penultimate)
    if not request.pad_prompts or _may_differ_in_length(request):
        settings["Pad conds"] = str(request.pad_prompts)
    if request.comma_backtrack:
        settings["Comma backtrack"] = str(request.comma_backtrack)
    if request.batch_index is not None:
        settings["Batch index"] = str(request.batch_index + index)
    for name, (label, default) in OWN_WORDS.items():
        if getattr(request, name) != default:
            settings[label] = getattr(request, name)
    return settings


def _may_differ_in_length(request: ResolvedRequest) -> bool:
    """Whether one of the prompts may have a second chunk, so that it matters how the other is filled up."""
    texts = request.prompt, request.negative_prompt
    return any(len(text.encode("utf-8", "replace")) > CHUNK or "BREAK" in text for text in texts)


def reproduction_field(name: str, value: str) -> dict[str, Any] | None:
    """The request's field for one setting; None if it is none of these.

    Raises:
        ValueError: the value should be a number, and is none.
    """
    match name:
        case "ENSD":
            return {"eta_seed_delta": int(value)}
        case "RNG":
            return {"noise_source": SOURCES[value]} if value in SOURCES else None
        case "Discard penultimate sigma":
            return {"discard_penultimate": value == "True"}
        case "Pad conds":
            return {"pad_prompts": value == "True"}
        case "Comma backtrack":
            return {"comma_backtrack": int(value)}
        case "Batch index":
            return {"batch_index": int(value)}
        case _:
            return {FIELDS[name]: value} if name in FIELDS else None
