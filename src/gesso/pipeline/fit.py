"""A picture of any size -> one of the size that is drawn."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from gesso.pipeline.margins import Margins

Size = tuple[int, int]
"""Width and height in pixels."""

FITS = ("resize", "crop", "pad")
"""Stretch it; scale it to cover the size and cut off the rest; scale it into the size and extend it."""

FITTED = {"resize": "resized", "crop": "scaled and cropped", "pad": "scaled and padded"}
MOST_BLUR = 32


def natural_size(picture: Size, width: int | None, height: int | None, multiple: int) -> Size:
    """The size to draw a picture at: its own, or to scale with a side given, rounded down to multiples."""
    own_width, own_height = picture
    if width is None and height is not None:
        width = round(own_width * height / own_height)
    if height is None and width is not None:
        height = round(own_height * width / own_width)
    wanted = width or own_width, height or own_height
    return max(wanted[0] // multiple, 1) * multiple, max(wanted[1] // multiple, 1) * multiple


def fit(pil_image: Image.Image, size: Size, how: str) -> Image.Image:
    """A picture in another size, with Lanczos' filter; see `FITS`."""
    if pil_image.size == size:
        return pil_image
    if how == "crop":
        return ImageOps.fit(pil_image, size, Image.Resampling.LANCZOS)
    if how == "pad":
        inner = ImageOps.contain(pil_image, size, Image.Resampling.LANCZOS)
        return extend(inner, _centred(inner.size, size))
    return pil_image.resize(size, Image.Resampling.LANCZOS)


def fit_mask(mask: Image.Image, size: Size, how: str) -> Image.Image:
    """A mask fitted as its picture is; what a padded picture gains is not masked."""
    if mask.size == size:
        return mask
    if how == "pad":
        return ImageOps.pad(mask, size, Image.Resampling.BILINEAR, color=0)
    if how == "crop":
        return ImageOps.fit(mask, size, Image.Resampling.BILINEAR)
    return mask.resize(size, Image.Resampling.BILINEAR)


def extend(pil_image: Image.Image, margins: Margins) -> Image.Image:
    """A larger picture with this one in it, and around it its blurred mirror image.

    So colours go on without an edge, which an autoencoder would see from inside the picture.
    """
    sides = ((margins.top, margins.bottom), (margins.left, margins.right), (0, 0))
    mirrored = Image.fromarray(np.pad(np.asarray(pil_image), sides, mode="symmetric"))
    reach = max(margins.left, margins.top, margins.right, margins.bottom)
    ground = mirrored.filter(ImageFilter.GaussianBlur(min(reach / 4, MOST_BLUR)))
    ground.paste(pil_image, (margins.left, margins.top))
    return ground


def _centred(inner: Size, size: Size) -> Margins:
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    return Margins(left, top, size[0] - inner[0] - left, size[1] - inner[1] - top)
