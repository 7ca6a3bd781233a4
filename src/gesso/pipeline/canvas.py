"""What a request paints on: a picture, what of it is repainted, and how that is put back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from gesso.pipeline.fit import FITTED, Size, extend, fit, fit_mask
from gesso.pipeline.pictures import Picture
from gesso.pipeline.request import ResolvedRequest

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two exclusive."""

WHITE = 128
"""From this brightness on a mask means: repaint."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture to paint on.

    Attributes:
        ground: the picture, RGB, as large as the result.
        mask: where it is repainted, L, 0 or 255, as large; None is everywhere.
        box: the part that is drawn.
        size: the size that it is drawn at.
        feather: pixels inside the mask over which new and old mix.
    """

    ground: Image.Image
    mask: Image.Image | None
    box: Box
    size: Size
    feather: int = 0

    @property
    def image(self) -> Image.Image:
        """The part that is drawn, at the size that it is drawn at."""
        return fit(self.ground.crop(self.box), self.size, "resize")

    @property
    def drawn_mask(self) -> Image.Image | None:
        """Its mask."""
        if self.mask is None:
            return None
        return binary(fit_mask(self.mask.crop(self.box), self.size, "resize"))

    def finish(self, drawn: Image.Image) -> Image.Image:
        """Put what was drawn into the picture: outside the mask, every pixel stays what it was."""
        if self.mask is None:
            return drawn
        left, top, right, bottom = self.box
        over = self.ground.copy()
        over.paste(fit(drawn, (right - left, bottom - top), "resize"), (left, top))
        return Image.composite(over, self.ground, feathered(self.mask, self.feather))


def make_canvas(request: ResolvedRequest) -> Canvas | None:
    """The canvas of a request; None if it draws from text alone."""
    if request.image is None:
        return None
    picture = request.image
    ground, mask = picture.colours(), given_mask(request)
    whole = picture.size if request.only_masked else inner_size(request)
    ground = fit(ground, whole, request.fit)
    mask = mask and binary(fit_mask(mask, whole, request.fit))
    if request.expand is not None:
        ground, mask = extend(ground, request.expand), expanded_mask(request, whole, mask)
    size = (request.width, request.height)
    box = (0, 0, *ground.size)
    if request.only_masked and mask is not None:
        box = around(mask, request.mask_padding, size)
    return Canvas(ground, mask, box, size, request.mask_blur)


def notes(request: ResolvedRequest) -> list[str]:
    """What happens to the pictures of a request that their owner may not expect, one sentence each."""
    told: list[str] = []
    for field, picture in (("image", request.image), ("mask", request.mask)):
        if picture is None:
            continue
        name = picture.path or f"the {field}"
        told += [f"{name}: {note}" for note in picture.notes]
        if picture.transparent:
            ground = "white" if field == "image" else "black"
            told.append(f"{name}: what is transparent is taken for {ground}")
    if request.image is None:
        return told
    told += _notes_on_sizes(request, request.image)
    return told


def _notes_on_sizes(request: ResolvedRequest, picture: Picture) -> list[str]:
    told: list[str] = []
    if request.mask is not None and request.mask.size != picture.size:
        told.append(
            f"{request.mask.path or 'the mask'}: resized from {_pixels(request.mask.size)} "
            f"to its picture's {_pixels(picture.size)}"
        )
    wanted = inner_size(request)
    if not request.only_masked and picture.size != wanted:
        told.append(
            f"{picture.path or 'the image'}: {FITTED[request.fit]} from {_pixels(picture.size)} "
            f"to {_pixels(wanted)}"
        )
    return told


def _pixels(size: Size) -> str:
    return f"{size[0]}×{size[1]}"


def inner_size(request: ResolvedRequest) -> Size:
    """What is left for the picture when its margins are taken off."""
    if request.expand is None:
        return request.width, request.height
    return request.width - request.expand.width, request.height - request.expand.height


def given_mask(request: ResolvedRequest) -> Image.Image | None:
    """The mask that was given, as large as its picture."""
    if request.mask is None or request.image is None:
        return None
    return fit_mask(request.mask.brightness(), request.image.size, "resize")


def expanded_mask(request: ResolvedRequest, inner: Size, mask: Image.Image | None) -> Image.Image:
    """The new margins are masked, and as much of the picture next to them as feathering needs."""
    assert request.expand is not None
    margins, overlap = request.expand, request.mask_blur
    grown = Image.new("L", (inner[0] + margins.width, inner[1] + margins.height), 255)
    kept = (
        margins.left + (overlap if margins.left else 0),
        margins.top + (overlap if margins.top else 0),
        margins.left + inner[0] - (overlap if margins.right else 0),
        margins.top + inner[1] - (overlap if margins.bottom else 0),
    )
    if kept[0] < kept[2] and kept[1] < kept[3]:
        grown.paste(0, kept)
    if mask is not None:
        grown.paste(255, (margins.left, margins.top), mask)
    return grown


def binary(mask: Image.Image) -> Image.Image:
    """Black and white alone."""
    return mask.point([255 * (level >= WHITE) for level in range(256)])


def feathered(mask: Image.Image, width: int) -> Image.Image:
    """How much of what is new each pixel shows: 0 outside the mask, and rising inside it over ``width``.

    Distances to the edge are counted as a king moves on a chessboard.
    """
    if width == 0:
        return mask
    depth = np.zeros((mask.height, mask.width), dtype=np.uint16)
    inside = mask
    for _ in range(width + 1):
        depth += np.asarray(inside) > 0
        inside = inside.filter(ImageFilter.MinFilter(3))
    return Image.fromarray((depth * 255.0 / (width + 1)).round().astype(np.uint8))


def around(mask: Image.Image, padding: int, shape: Size) -> Box:
    """The box around what is white and ``padding`` more, in ``shape``'s proportions if there is room."""
    white = mask.getbbox()
    assert white is not None  # a request with a black mask is refused
    spans = []
    for low, high, end in zip(white[:2], white[2:], mask.size, strict=True):
        spans.append((max(low - padding, 0), min(high + padding, end)))
    (left, right), (top, bottom) = spans
    scale = max((right - left) / shape[0], (bottom - top) / shape[1])
    left, right = widened(left, right, round(shape[0] * scale), mask.width)
    top, bottom = widened(top, bottom, round(shape[1] * scale), mask.height)
    return left, top, right, bottom


def widened(low: int, high: int, length: int, end: int) -> tuple[int, int]:
    """A span of this length around another one, between 0 and ``end``."""
    length = min(max(length, high - low), end)
    start = min(max((low + high - length) // 2, 0), end - length)
    return start, start + length
