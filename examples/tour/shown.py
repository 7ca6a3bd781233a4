"""What a station of the tour has to show, and how it becomes files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

COLOURS = 256
REFINED = 2
"""Rounds of k-means that the palette gets, without which small things have the colours of others."""


class Shown(NamedTuple):
    """Pictures and numbers of one station.

    Attributes:
        pictures: by the names of their files, without suffix; the text of an SVG where it is a str.
        numbers: those that the text of the tour may quote.
    """

    pictures: Mapping[str, Image.Image | str]
    numbers: dict[str, float | str]


def save(content: Image.Image | str, folder: Path, name: str) -> Path:
    """Write a picture, as a PNG with a palette or as an SVG; where it is."""
    if isinstance(content, str):
        path = folder / f"{name}.svg"
        path.write_text(content, encoding="utf-8")
        return path
    path = folder / f"{name}.png"
    few = content.convert("RGB").quantize(COLOURS, kmeans=REFINED, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    return path


def significant(value: float, digits: int = 4) -> float:
    """A number to so many digits, so that the next run on another machine writes the same one."""
    return float(f"{float(value):.{digits}g}")
