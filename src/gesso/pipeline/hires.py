"""Two passes: a picture at the size the model knows, enlarged, and drawn over at the larger size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gesso.pipeline.image_rules import steps_from_picture
from gesso.pipeline.images import from_pil
from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.upscalers import resolve_upscaler

Size = tuple[int, int]


def second_pass(request: ResolvedRequest, multiple: int) -> ResolvedRequest:
    """The request of the second pass, which begins at the enlarged picture.

    Args:
        multiple: what its width and height are rounded down to multiples of.
    """
    assert request.hires_scale is not None
    width, height = (
        int(side * request.hires_scale) // multiple * multiple for side in (request.width, request.height)
    )
    asked = request.hires_steps or request.steps
    steps, _ = steps_from_picture(asked, request.hires_strength, request.image_rules, second=True)
    return replace(request, width=width, height=height, steps=steps, hires_scale=None)


def enlarge(
    latents: Tensor,
    larger: ResolvedRequest,
    latent_size: Size,
    decode: Callable[[Tensor], list[Image.Image]],
    encode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Latents of the first pass -> where the second begins: (b, 4, h, w) -> (b, 4, h', w').

    Args:
        larger: the request of the second pass.
        latent_size: (w', h').
        decode: latents -> pictures; for upscalers of pixels.
        encode: image (b, 3, 8h', 8w') -> latents.
    """
    upscaler = resolve_upscaler(larger.hires_upscaler, "hires_upscaler")
    if upscaler.of == "latents":
        smooth = {"antialias": upscaler.antialias} if "nearest" not in upscaler.mode else {}
        return interpolate(latents, size=latent_size[::-1], mode=upscaler.mode, **smooth)
    size = larger.width, larger.height
    return encode(torch.cat([from_pil(upscaler.enlarge(picture, size)) for picture in decode(latents)]))
