"""Two passes: a picture at the size the model knows, enlarged, and drawn over at the larger size."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image
from torch import Tensor, cat
from torch.nn.functional import interpolate

from gesso.pipeline.images import from_pil
from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.upscalers import Upscaler

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
    steps = request.hires_steps or request.steps
    return replace(request, width=width, height=height, steps=steps, hires_scale=None)


def enlarge_latents(latents: Tensor, size: Size, upscaler: Upscaler) -> Tensor:
    """Latents (b, 4, h, w) -> (b, 4, h', w'), interpolated; ``size`` is (w', h')."""
    smooth = {"antialias": upscaler.antialias} if "nearest" not in upscaler.mode else {}
    return interpolate(latents, size=size[::-1], mode=upscaler.mode, **smooth)


def enlarge_pictures(pictures: list[Image.Image], size: Size, upscaler: Upscaler) -> Tensor:
    """Pictures -> an image each, (b, 3, h', w'); ``size`` is (w', h')."""
    return cat([from_pil(upscaler.enlarge(picture, size)) for picture in pictures])
