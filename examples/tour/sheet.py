"""Sheets of pictures: rows with a name at the left, columns with a head, notes below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import pad

from gesso.pipeline.heatmap_sheet import coloured
from gesso.pipeline.images import to_pil
from gesso.pipeline.lettering import Lettering

TILE, GAP, NAMES = 128, 8, 100
TEXT_SIZE = 13
INK, PALE = "#222222", "#606060"
NAME_LINES, HEAD_LINES = 6, 2


class Row(NamedTuple):
    """Pictures side by side, what stands left of them, and what below each."""

    name: str
    pictures: Sequence[Image.Image]
    notes: Sequence[str] = ()


def sheet(rows: Sequence[Row], heads: Sequence[str] = (), *, tile: int = TILE) -> Image.Image:
    """Rows below one another on white, each picture ``tile`` pixels wide and high."""
    lettering = Lettering(TEXT_SIZE)
    columns = max(len(row.pictures) for row in rows)
    left = GAP + (NAMES if any(row.name for row in rows) else 0)
    wrapped = [lettering.wrap(head, tile, HEAD_LINES) for head in heads]
    top = GAP + max((len(head) for head in wrapped), default=0) * lettering.line_height
    heights = [tile + GAP + (lettering.line_height if row.notes else 0) for row in rows]
    page = Image.new("RGB", (left + columns * (tile + GAP), top + sum(heights)), "white")
    pen = ImageDraw.Draw(page)
    for column, head in enumerate(wrapped):
        lettering.write(pen, (left + column * (tile + GAP), GAP // 2), head, PALE)
    for row, height in zip(rows, heights, strict=True):
        lettering.write(pen, (GAP, top), lettering.wrap(row.name, NAMES - GAP, NAME_LINES), INK)
        for column, picture in enumerate(row.pictures):
            page.paste(resized(picture, tile), (left + column * (tile + GAP), top))
        for column, note in enumerate(row.notes):
            place = (left + column * (tile + GAP), top + tile)
            lettering.write(pen, place, lettering.wrap(note, tile, 1), PALE)
        top += height
    return page


def resized(picture: Image.Image, tile: int) -> Image.Image:
    return picture.convert("RGB").resize((tile, tile), Image.Resampling.LANCZOS)


def pictures(images: Tensor) -> list[Image.Image]:
    """Images (b, 3, h, w) in [-1, 1] -> b PIL pictures; what is outside is clipped."""
    return to_pil(images)


def mosaic(latents: Tensor, span: float = 3.0, tile: int = TILE) -> Image.Image:
    """The channels of latents (c, h, w) side by side, from −span (black) to span (white)."""
    channels, _, width = latents.shape
    across = math.ceil(math.sqrt(channels))
    missing = -channels % across
    framed = pad(latents, (1, 1, 1, 1), value=span)
    framed = pad(framed, (0, 0, 0, 0, 0, missing), value=span)  # (rows · across, h + 2, w + 2)
    grid = framed.unflatten(0, (-1, across)).transpose(1, 2).flatten(2).flatten(0, 1)
    levels = ((grid / span).clamp(-1, 1) * 127.5 + 127.5).round().byte().numpy()
    scale = -(-tile // (across * (width + 2)))
    large = Image.fromarray(levels.repeat(scale, 0).repeat(scale, 1))
    side = max(large.size)
    page = Image.new("L", (side, side), "white")
    page.paste(large, (0, 0))
    return page.resize((tile, tile), Image.Resampling.LANCZOS)


def heat(values: Tensor, most: float | None = None) -> Image.Image:
    """A map (h, w) of values from 0 (dark) to ``most`` (bright), which is their own largest if None."""
    most = float(values.max()) if most is None else most
    shares = (values / (most or 1.0)).clamp(0, 1).cpu().numpy()
    return Image.fromarray(coloured(shares).round().astype(np.uint8))
