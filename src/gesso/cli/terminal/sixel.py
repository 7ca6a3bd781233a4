"""Sixel graphics: DEC's, of the VT340 (1987), in bands of six rows of pixels.

In a band each colour says in which of its columns which of the six pixels it has: one letter a column, the
bits of which are the pixels from the top down.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

COLOURS = 64
BAND = 6
FIRST_LETTER = 63
"""Of no pixel at all."""

SHORTEST_RUN = 4
"""From which a count takes less room than the letters."""


def encode(image: Image.Image) -> str:
    """A picture pixel for pixel, in as many as 64 colours of its own; the cursor ends somewhere below."""
    palette = image.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    indices = np.asarray(palette).astype(int)  # (h, w)
    height, width = indices.shape
    levels = np.array(palette.getpalette()).reshape(-1, 3)
    used = np.unique(indices)
    definitions = "".join(f"#{index};2;{_percent(levels[index])}" for index in used)
    bands = (indices[top : top + BAND] for top in range(0, height, BAND))
    return f'\x1bP0;1;0q"1;1;{width};{height}{definitions}' + "-".join(map(_band, bands)) + "\x1b\\"


def _percent(colour: np.ndarray) -> str:
    return ";".join(str(round(level * 100 / 255)) for level in colour)


def _band(indices: np.ndarray) -> str:
    """(up to 6, w): the colours one over the other, each from the left edge on."""
    bits = 1 << np.arange(len(indices))[:, None]
    layers = (f"#{index}{_runs(((indices == index) * bits).sum(0))}" for index in np.unique(indices))
    return "$".join(layers)


def _runs(columns: np.ndarray) -> str:
    """Letters of columns of pixels (w,), counted where they repeat; none after the last pixel."""
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    lengths = np.diff(starts, append=len(columns))
    runs = [(int(columns[start]), int(length)) for start, length in zip(starts, lengths, strict=True)]
    if runs[-1][0] == 0:
        runs.pop()
    return "".join(_run(chr(FIRST_LETTER + bits), length) for bits, length in runs)


def _run(letter: str, length: int) -> str:
    return f"!{length}{letter}" if length >= SHORTEST_RUN else letter * length
