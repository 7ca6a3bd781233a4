"""A part of the terminal that is drawn again and again, above the line with the progress bar."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from PIL import Image

from gesso.cli.terminal import blocks, iterm2, kitty, sixel
from gesso.cli.terminal.terminal import Terminal

MOST_ROWS = 24
SPARE_LINES = 3
"""Below the picture: the bar, the path of what was written, and the prompt after it."""

TALLEST_SIXEL = 320
"""Pixels; every one of them is written out."""

FINE = 256
"""Pixels of the longer side up to which a small picture is enlarged before the terminal does it."""

SAVE, RESTORE = "\x1b7", "\x1b8"
ERASE_BELOW = "\x1b[J"


class Region:
    """Rows of a terminal that belong to one picture. The cursor waits below them, at the left edge.

    Nothing of the terminal's state is changed between two drawings, so that a program that is killed leaves
    no more than a picture behind.

    Args:
        write: to the terminal; what is drawn is written in one piece.
        size: width and height of the pictures, for their proportions.
    """

    def __init__(self, terminal: Terminal, write: Callable[[str], object], size: tuple[int, int]) -> None:
        self.terminal = terminal
        self.write = write
        self.columns, self.rows = cells(size, terminal)
        self.number = 1 + secrets.randbelow(2**31 - 1)  # of the picture, for terminals that number them
        self.reserved = False

    @property
    def fits(self) -> bool:
        return self.rows > 0

    def draw(self, image: Image.Image) -> None:
        """Show a picture in place of the one before."""
        room = "" if self.reserved else "\n" * self.rows
        self.reserved = True
        self.write(f"{room}\r\x1b[{self.rows}A{SAVE}{self._encode(image)}{RESTORE}\x1b[{self.rows}B")

    def erase(self) -> None:
        """Leave the terminal as if nothing had been there."""
        if self.reserved:
            gone = kitty.erase(self.number) if self.terminal.way == "kitty" else ""
            self.write(f"{gone}\r\x1b[{self.rows}A{ERASE_BELOW}")
        self.reserved = False

    def _encode(self, image: Image.Image) -> str:
        area = self.columns, self.rows
        match self.terminal.way:
            case "sixel":
                cell_width, cell_height = self.terminal.cell
                pixels = self.columns * cell_width, self.rows * cell_height
                return sixel.encode(image.resize(pixels, Image.Resampling.BICUBIC))
            case "kitty":
                return kitty.encode(enlarged(image), *area, self.number)
            case "iterm2":
                return iterm2.encode(enlarged(image), *area)
            case _:
                return blocks.encode(image, *area, true_colour=self.terminal.true_colour)


def cells(size: tuple[int, int], terminal: Terminal) -> tuple[int, int]:
    """Columns and rows of a picture of this size in pixels; (0, 0) if the window is too small for one."""
    width, height = size
    cell_width, cell_height = (1, 2) if terminal.way == "blocks" else terminal.cell
    most_rows = min(MOST_ROWS, terminal.lines - SPARE_LINES)
    if terminal.way == "sixel" and most_rows > 0:
        most_rows = max(1, min(most_rows, TALLEST_SIXEL // cell_height))
    scale = min(most_rows * cell_height / height, (terminal.columns - 1) * cell_width / width)
    if scale <= 0:
        return 0, 0
    return max(1, round(width * scale / cell_width)), max(1, round(height * scale / cell_height))


def enlarged(image: Image.Image) -> Image.Image:
    """A small picture made smoothly larger: terminals show its pixels as squares."""
    scale = FINE / max(image.size)
    if scale <= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)
