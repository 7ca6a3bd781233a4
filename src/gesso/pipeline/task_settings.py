"""What is done with a picture, in AUTOMATIC1111's words, both ways."""

from __future__ import annotations

from typing import Any

from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.upscalers import resolve_upscaler


def task_settings(request: ResolvedRequest, index: int) -> dict[str, str]:
    """The settings of picture ``index`` that tell of its task; none for pictures from text alone."""
    settings: dict[str, str] = {}
    if request.strength is not None:
        settings["Denoising strength"] = short(request.strength)
    if request.mask is not None or request.expand is not None:
        settings["Mask blur"] = str(request.mask_blur)
    if request.only_masked:
        settings["Inpaint area"] = "Only masked"
        settings["Masked area padding"] = str(request.mask_padding)
    if request.variation_strength > 0 and request.variation_seed is not None:
        settings["Variation seed"] = str(request.variation_seed + index)
        settings["Variation seed strength"] = short(request.variation_strength)
    if request.seed_resize is not None:
        settings["Seed resize from"] = "{}x{}".format(*request.seed_resize)
    if request.tiling is not None:
        settings["Tiling"] = "True" if request.tiling == "both" else request.tiling
    if request.hires_scale is not None:
        upscaler = resolve_upscaler(request.hires_upscaler, "hires_upscaler")
        settings["Denoising strength"] = short(request.hires_strength)
        settings["Hires upscale"] = short(request.hires_scale)
        settings["Hires steps"] = str(request.hires_steps or request.steps)
        settings["Hires upscaler"] = upscaler.label if upscaler.of != "network" else upscaler.name
    return settings


def task_field(name: str, value: str) -> dict[str, Any] | None:
    """The request's fields for one setting; None if it is none of a task's.

    Raises:
        ValueError: the value should be a number, and is none.
    """
    match name:
        case "Denoising strength":
            return {"strength": float(value)}
        case "Mask blur":
            return {"mask_blur": int(value)}
        case "Inpaint area":
            return {"only_masked": value == "Only masked"}
        case "Masked area padding":
            return {"mask_padding": int(value)}
        case "Variation seed":
            return {"variation_seed": int(value)}
        case "Variation seed strength":
            return {"variation_strength": float(value)}
        case "Seed resize from":
            width, _, height = value.partition("x")
            return {"seed_resize": [int(width), int(height)]}
        case "Tiling":
            return {"tiling": {"True": "both", "False": None}.get(value, value)}
        case "Hires upscale":
            return {"hires_scale": float(value)}
        case "Hires steps":
            return {"hires_steps": int(value) or None}
        case "Hires upscaler":
            return {"hires_upscaler": value}
        case _:
            return None


def settle(fields: dict[str, Any], unknown: dict[str, str]) -> None:
    """What settings mean together: of a picture in two passes, the strength is that of the second, and the
    size may be said instead of how many times as large it is.
    """
    size = unknown.get("Hires resize")
    if size is not None and "width" in fields:
        scale = _hires_scale((fields["width"], fields["height"]), size)
        if scale is not None:
            fields["hires_scale"] = scale
            del unknown["Hires resize"]
    if "hires_scale" in fields and "strength" in fields:
        fields["hires_strength"] = fields.pop("strength")


def _hires_scale(size: tuple[int, int], larger: str) -> float | None:
    """How many times as large one size is as another; 0 stands for a side that follows the other.

    None where none is: AUTOMATIC1111 then cuts the picture.
    """
    sides = larger.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and len(side) < 6 for side in sides):
        return None
    width, height = map(int, sides)
    if max(width, height) == 0 or not all(0 < side < 100_000 for side in size):
        return None
    scale = width / size[0] if width else height / size[1]
    fits = all(asked in (0, int(side * scale)) for asked, side in zip((width, height), size, strict=True))
    return scale if fits else None


def short(value: float) -> str:
    """All its digits, and no ".0"."""
    return repr(value).removesuffix(".0")
