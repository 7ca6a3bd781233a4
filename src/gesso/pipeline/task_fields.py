"""The fields of a request that say what is done with a picture, checked together."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from math import lcm
from typing import TYPE_CHECKING, Any

from gesso.config import ModelConfig
from gesso.errors import RequestError
from gesso.pipeline.fields import check_name, check_real, check_side, check_whole
from gesso.pipeline.image_rules import steps_from_picture
from gesso.pipeline.margins import Margins
from gesso.pipeline.upscalers import resolve_upscaler

if TYPE_CHECKING:
    from gesso.pipeline.pictures import Picture
    from gesso.pipeline.request import GenerationRequest

TILINGS = ("x", "y", "both")
MAX_FEATHER = 256
MAX_PADDING = 2048
MAX_SCALE = 8.0
MAX_SEED = 2**64 - 1
MAX_SIDE = 8192
MAX_STEPS = 1000
DEFAULT_STRENGTH = 0.8
"""Of image to image, as in Diffusers; what is masked is drawn from noise alone."""


def check_tasks(request: GenerationRequest) -> dict[str, Any]:
    """The values of all these fields as they are kept.

    Raises:
        RequestError, ImageError: one cannot be drawn, or two do not go together.
    """
    return {
        **_check_pictures(request),
        **_check_variation(request),
        **_check_hires(request),
        "strength": _check_strength(request),
        "tiling": _one_of(request.tiling, TILINGS, "tiling") if request.tiling is not None else None,
    }


def resolve_tasks(request: GenerationRequest, config: ModelConfig) -> dict[str, Any]:
    """What is decided where a request leaves its size, strength or variation open."""
    width, height = _size(request, config)
    multiple = config.autoencoder.downscale
    decided: dict[str, Any] = {
        "width": check_side(width, "width", multiple, MAX_SIDE),
        "height": check_side(height, "height", multiple, MAX_SIDE),
    }
    for name, side in (("width", width), ("height", height)):
        larger = int(side * (request.hires_scale or 1))
        if larger > MAX_SIDE:
            raise RequestError(
                f"the {name} would be {larger}, more than {MAX_SIDE}", "Use less.", where="hires_scale"
            )
    if request.image is not None and request.strength is None:
        masked = request.mask is not None or request.expand is not None
        decided["strength"] = 1.0 if masked else DEFAULT_STRENGTH
    if request.variation_strength > 0 and request.variation_seed is None:
        decided["variation_seed"] = secrets.randbelow(2**32 - request.count)
    return decided


def _size(request: GenerationRequest, config: ModelConfig) -> tuple[int, int]:
    side = config.image_size
    picture = _picture(request.image)
    if picture is None or request.only_masked:
        return request.width or side, request.height or side
    from gesso.pipeline.fit import natural_size

    margins = _margins(request.expand)
    width, height = request.width, request.height
    inner = natural_size(
        picture.size,
        width and _inside(width, margins.width, "width"),
        height and _inside(height, margins.height, "height"),
        lcm(8, config.autoencoder.downscale),
    )
    return width or inner[0] + margins.width, height or inner[1] + margins.height


def _inside(whole: int, margins: int, where: str) -> int:
    if margins >= whole:
        raise RequestError(
            f"{whole} leaves nothing between margins of {margins}",
            "It is the width or height of the whole result.",
            where=where,
        )
    return whole - margins


def _picture(value: object) -> Picture | None:
    from gesso.pipeline.pictures import Picture

    return value if isinstance(value, Picture) else None


def _margins(value: object) -> Margins:
    return value if isinstance(value, Margins) else Margins()


def _check_pictures(request: GenerationRequest) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "mask_blur": check_whole(request.mask_blur, "mask_blur", 0, MAX_FEATHER),
        "mask_padding": check_whole(request.mask_padding, "mask_padding", 0, MAX_PADDING),
        "fit": _one_of(request.fit, ("resize", "crop", "pad"), "fit"),
    }
    if not isinstance(request.only_masked, bool):
        raise RequestError(f"{request.only_masked!r} is neither true nor false", where="only_masked")
    if request.image is None:
        for field in ("strength", "mask", "expand"):
            if getattr(request, field) is not None:
                raise RequestError("there is no picture that it is for", "Give an image too.", where=field)
    else:
        from gesso.pipeline.pictures import Picture

        kept["image"] = Picture.read(request.image, "image")
        if request.mask is not None:
            kept["mask"] = _check_mask(Picture.read(request.mask, "mask"))
        if request.expand is not None:
            kept["expand"] = Margins.read(request.expand, "expand")
    if request.only_masked and request.mask is None:
        raise RequestError("there is no mask", "Give one, with white where to draw.", where="only_masked")
    return kept


def _check_mask(mask: Picture) -> Picture:
    _, brightest = mask.brightness().getextrema()
    if not isinstance(brightest, tuple) and brightest < 128:
        raise RequestError(
            "it is black all over, so there is nothing to do",
            "Paint white what should change.",
            where="mask",
        )
    return mask


def _check_strength(request: GenerationRequest) -> float | None:
    if request.strength is None:
        return None
    strength = _share(request.strength, "strength")
    _check_walk(request, request.steps, strength, "strength")
    return strength


def _share(value: object, where: str) -> float:
    share = check_real(value, where, 0.0, 1.0)
    if share == 0:
        raise RequestError("0 changes nothing", "Use more than 0, up to 1.", where=where)
    return share


def _check_walk(
    request: GenerationRequest, steps: int, strength: float, where: str, *, second: bool = False
) -> None:
    planned, walked = steps_from_picture(steps, strength, request.image_rules, second=second)
    if planned > MAX_STEPS:
        raise RequestError(
            f"{steps} steps at {strength:g} are the last of {planned:,}, more than {MAX_STEPS}",
            "Use more, or fewer steps.",
            where=where,
        )
    if walked == 0:
        raise RequestError(
            f"{strength:g} of {steps} steps is less than one", "Use more of either.", where=where
        )


def _check_variation(request: GenerationRequest) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "variation_strength": check_real(request.variation_strength, "variation_strength", 0.0, 1.0)
    }
    if request.variation_seed is not None:
        last = MAX_SEED - request.count + 1
        kept["variation_seed"] = check_whole(request.variation_seed, "variation_seed", 0, last)
    if request.seed_resize is not None:
        kept["seed_resize"] = _check_size(request.seed_resize, "seed_resize")
    return kept


def _check_size(value: object, where: str) -> tuple[int, int]:
    """A width and a height: two numbers, or text such as 512x768."""
    sides: Sequence[Any] = ()
    if isinstance(value, str):
        texts = value.casefold().split("x")
        if all(text.strip().isdecimal() and len(text) < 9 for text in texts):
            sides = [int(text) for text in texts]
    elif isinstance(value, Sequence):
        sides = value
    if len(sides) != 2:
        raise RequestError("it is no width and height", "Write 512x768.", where=where)
    width, height = (check_side(side, where, 8, MAX_SIDE) for side in sides)
    return width, height


def _check_hires(request: GenerationRequest) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "hires_strength": _share(request.hires_strength, "hires_strength"),
        "hires_upscaler": resolve_upscaler(
            check_name(request.hires_upscaler, "hires_upscaler"), "hires_upscaler"
        ).name,
    }
    if request.hires_steps is not None:
        kept["hires_steps"] = check_whole(request.hires_steps, "hires_steps", 1, 1000)
    if request.hires_scale is None:
        return kept
    kept["hires_scale"] = check_real(request.hires_scale, "hires_scale", 1.0, MAX_SCALE)
    if request.image is not None:
        raise RequestError(
            "a second pass follows pictures from text alone",
            "With an image, give the size as width and height.",
            where="hires_scale",
        )
    steps = request.hires_steps or request.steps
    _check_walk(request, steps, kept["hires_strength"], "hires_strength", second=True)
    return kept


def _one_of(value: object, names: Sequence[str], where: str) -> str:
    if value not in names:
        raise RequestError(f"{value!r:.60} is unknown", f"Use {', '.join(names)}.", where=where)
    return str(value)
