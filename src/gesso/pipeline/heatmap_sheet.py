"""Heatmaps as a sheet to look at, and as arrays to count with."""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gesso.pipeline.canvas import Box
from gesso.pipeline.heatmaps import Heatmaps
from gesso.pipeline.lettering import Lettering

TILE = 192
"""Pixels of the longer side of each picture on a sheet."""

NARROWEST = 96
"""Pixels of a column, so that there is room for words below tall pictures."""

LABEL = 24
"""Pixels below each for its label."""

GAP = 8
TEXT_SIZE = 14
WIDER = 1.6
"""Columns to rows of a sheet."""

SHOWN = 0.6
"""How much of the colours, and how little of the picture below them, there is."""

COLOURS = np.array(
    [
        (0, 0, 20),
        (50, 10, 94),
        (120, 28, 109),
        (187, 55, 84),
        (237, 105, 37),
        (252, 181, 25),
        (252, 255, 164),
    ]
)
"""From least to most, ever brighter, so that they also read in greys."""


def heatmap_sheet(
    picture: Image.Image, heatmaps: Heatmaps, box: Box | None = None, *, tile_size: int = TILE
) -> Image.Image:
    """The picture, and for each word the picture again under that word's heatmap.

    The colours of each go from the least to the most of its own map; its label says how much of all
    attention the word had, on the average of the pixels.

    Args:
        box: the part of the picture that was drawn; None is all of it.
        tile_size: the longer side of each picture on the sheet, in pixels.
    """
    scale = tile_size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    tile = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    left, top, right, bottom = (round(edge * scale) for edge in box or (0, 0, *picture.size))
    part = (left, top, max(right, left + 1), max(bottom, top + 1))
    tiles = [Tile(tile, "the picture")]
    for word, given in zip(heatmaps.words, heatmaps.maps.numpy(), strict=True):
        tiles.append(Tile(overlaid(tile, given, part), word, f"{given.mean():.1%}"))
    return contact_sheet(tiles)


class Tile(NamedTuple):
    """A picture and what is written below it: a name, and what stays where the name is too long."""

    picture: Image.Image
    name: str
    number: str = ""


def overlaid(tile: Image.Image, given: np.ndarray, box: Box) -> Image.Image:
    """A heatmap (h, w) in colours on a picture without its own; outside the box there are none."""
    left, top, right, bottom = box
    size = right - left, bottom - top
    span = float(np.ptp(given)) or 1.0
    heat = Image.fromarray((given - given.min()) / span).resize(size, Image.Resampling.BICUBIC)
    grey = tile.convert("L").convert("RGB")
    below = np.asarray(grey.crop(box), dtype=np.float32)  # (h, w, 3)
    mixed = (1 - SHOWN) * below + SHOWN * coloured(np.asarray(heat))
    grey.paste(Image.fromarray(mixed.round().astype(np.uint8)), (left, top))
    return grey


def coloured(heat: np.ndarray) -> np.ndarray:
    """(h, w), 0 … 1, to the colours (h, w, 3), 0 … 255."""
    stops = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(heat, stops, channel) for channel in COLOURS.T], axis=-1)


def contact_sheet(tiles: list[Tile]) -> Image.Image:
    """Pictures of one size in rows, each above its label."""
    width, height = tiles[0].picture.size
    columns = math.ceil(math.sqrt(WIDER * len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    across, down = max(width, NARROWEST) + GAP, height + LABEL + GAP
    page = Image.new("RGB", (columns * across + GAP, rows * down + GAP), "white")
    pen, lettering = ImageDraw.Draw(page), Lettering(TEXT_SIZE)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        left, top = column * across + GAP, row * down + GAP
        page.paste(tile.picture, (left, top))
        room = across - GAP - lettering.width(f"  {tile.number}")
        (name,) = lettering.wrap(tile.name, room, lines=1)
        lettering.write(pen, (left, top + height + 4), [f"{name}  {tile.number}"], "black")
    return page


def array_file(heatmaps: Heatmaps) -> bytes:
    """An ``.npz`` file: ``words`` (n,) text, and ``maps`` (n, h/8, w/8) float32 (see `Heatmaps`)."""
    buffer = io.BytesIO()
    words = np.array(heatmaps.words, dtype=np.str_)
    np.savez_compressed(buffer, words=words, maps=heatmaps.maps.numpy())
    return buffer.getvalue()
