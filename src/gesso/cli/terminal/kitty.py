"""Kitty's graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol), which Ghostty reads too."""

from __future__ import annotations

import base64

from PIL import Image

from gesso.cli.terminal.png import png

CHUNK = 4096
"""Characters that one command may carry."""


def encode(image: Image.Image, columns: int, rows: int, number: int) -> str:
    """A picture over so many cells, in place of the one with the same number; the cursor stays.

    Args:
        number: of the picture, 1 and up. The terminal is asked not to answer: nobody would read it.
    """
    data = base64.b64encode(png(image)).decode()
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    keys = f"a=T,f=100,i={number},p=1,c={columns},r={rows},C=1,q=2,"
    return "".join(
        f"\x1b_G{keys if place == 0 else ''}m={int(place < len(chunks) - 1)};{chunk}\x1b\\"
        for place, chunk in enumerate(chunks)
    )


def erase(number: int) -> str:
    """Take the picture with this number away, and forget it."""
    return f"\x1b_Ga=d,d=I,i={number},q=2;\x1b\\"
