"""A square of cosines in colours, with the words at its left and above it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from gesso.pipeline.heatmap_sheet import coloured
from gesso.pipeline.lettering import Lettering

TEXT_SIZE, MARGIN = 12, 8
INK = "#222222"
BRIGHT = 0.6
"""From this cosine on, numbers are written dark on the bright cell."""


def matrix(
    cosines: Tensor, names: Sequence[str], title: str, *, cell: int = 14, written: bool = False
) -> Image.Image:
    """Cosines (n, n): dark at 0 and below, bright at 1.

    Args:
        cell: pixels of a cell's side.
        written: whether each cell also has its number.
    """
    lettering = Lettering(TEXT_SIZE)
    room = MARGIN + max(map(lettering.width, names)) + 4
    top = MARGIN + lettering.line_height + room
    side = cell * len(names)
    page = Image.new("RGB", (room + side + MARGIN, top + side + MARGIN), "white")
    pen = ImageDraw.Draw(page)
    lettering.write(pen, (MARGIN, MARGIN), [title], INK)
    pixels = coloured(cosines.clamp(0, 1).numpy()).round().astype(np.uint8)
    page.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST), (room, top))
    for place, name in enumerate(names):
        middle = place * cell + (cell - TEXT_SIZE) // 2 - 1
        lettering.write(pen, (room - 4 - lettering.width(name), top + middle), [name], INK)
        page.paste(_upright(name, lettering, room - 4), (room + middle, top - room))
    if written:
        _write_numbers(pen, lettering, cosines, (room, top), cell)
    return page


def _upright(name: str, lettering: Lettering, length: int) -> Image.Image:
    """A name that reads from bottom to top and ends at the bottom of a strip."""
    strip = Image.new("RGB", (length, lettering.line_height), "white")
    lettering.write(ImageDraw.Draw(strip), (0, 0), [name], INK)
    return strip.transpose(Image.Transpose.ROTATE_90)


def _write_numbers(
    pen: ImageDraw.ImageDraw, lettering: Lettering, cosines: Tensor, corner: tuple[int, int], cell: int
) -> None:
    for row, values in enumerate(cosines.tolist()):
        for column, value in enumerate(values):
            place = (corner[0] + column * cell + 6, corner[1] + row * cell + (cell - TEXT_SIZE) // 2)
            lettering.write(pen, place, [f"{value:.2f}"], INK if value > BRIGHT else "white")
