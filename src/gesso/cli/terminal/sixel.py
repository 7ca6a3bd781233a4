"""Sixel graphics: DEC's, of the VT340 (1987), in bands of six rows of pixels.

In a band each colour says in which of its columns which of the six pixels it has: one letter a column, the
bits of which are the pixels from the top down.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

COLOURS = 64
BAND = 6
FIRST_LETTER, NOTHING = 63, "?"
"""Of a column without a pixel."""

RUN = re.compile(r"([?-~])\1{3,}")
"""Letters that take less room with a count."""


def encode(image: Image.Image) -> str:
    """A picture pixel for pixel, in as many as 64 colours of its own; the cursor ends somewhere below."""
    palette = image.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    indices = np.asarray(palette).astype(int)  # (h, w)
    height, width = indices.shape
    levels = np.array(palette.getpalette()).reshape(-1, 3)
    used = np.unique(indices)
    definitions = "".join(f"#{index};2;{_percent(levels[index])}" for index in used)
    bands = (_band(indices[top : top + BAND], len(levels)) for top in range(0, height, BAND))
    letters = RUN.sub(_counted, "-".join(bands))
    return f'\x1bP0;1;0q"1;1;{width};{height}{definitions}{letters}\x1b\\'


def _percent(colour: np.ndarray) -> str:
    return ";".join(str(round(level * 100 / 255)) for level in colour)


def _band(indices: np.ndarray, colours: int) -> str:
    """(up to 6, w): the colours one over the other, each from the left edge on."""
    columns = np.arange(indices.shape[1])
    bits = np.zeros((colours, len(columns)), dtype=np.uint8)
    for row, colour in enumerate(indices):
        bits[colour, columns] |= 1 << row
    used = np.flatnonzero(bits.any(axis=1))
    letters = ((bits[colour] + FIRST_LETTER).tobytes().decode() for colour in used)
    return "$".join(f"#{colour}{each.rstrip(NOTHING)}" for colour, each in zip(used, letters, strict=True))


def _counted(run: re.Match[str]) -> str:
    return f"!{len(run[0])}{run[1]}"
