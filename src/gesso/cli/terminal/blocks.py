"""Pictures of characters: each is half a block over its background, so two pixels, one above the other."""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image

HALF_BLOCK = "▀"
RESET = "\x1b[0m"
NEXT_ROW = "\x1b[1B\r"
"""Down without scrolling, and to the left edge."""

CUBE = np.array([0, 95, 135, 175, 215, 255])
"""Levels of each channel among the colours 16 to 231 of terminals with 256."""


def encode(image: Image.Image, columns: int, rows: int, *, true_colour: bool) -> str:
    """A picture of so many characters, from the left edge down; the cursor ends in the last row.

    Args:
        true_colour: whether the terminal has all colours (24 bits), or 256.
    """
    small = image.convert("RGB").resize((columns, 2 * rows), Image.Resampling.BOX)
    pixels = np.asarray(small).reshape(rows, 2, columns, 3).transpose(0, 2, 1, 3)  # (rows, columns, 2, 3)
    code = partial(_code, true_colour=true_colour)
    return NEXT_ROW.join(_row([(code(upper), code(lower)) for upper, lower in row]) for row in pixels)


def _row(cells: list[tuple[str, str]]) -> str:
    """Colours are said where they change only."""
    written: list[str] = []
    last = ("", "")
    for foreground, background in cells:
        changed = [f"38;{foreground}"] if foreground != last[0] else []
        changed += [f"48;{background}"] if background != last[1] else []
        written.append(f"\x1b[{';'.join(changed)}m{HALF_BLOCK}" if changed else HALF_BLOCK)
        last = foreground, background
    return "".join(written) + RESET


def _code(colour: np.ndarray, *, true_colour: bool) -> str:
    """What follows 38 (foreground) or 48 (background)."""
    if true_colour:
        return f"2;{colour[0]};{colour[1]};{colour[2]}"
    red, green, blue = (int(np.abs(CUBE - level).argmin()) for level in colour.astype(int))
    return f"5;{16 + 36 * red + 6 * green + blue}"
