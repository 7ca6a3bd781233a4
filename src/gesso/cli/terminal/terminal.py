"""What a terminal can show, and how large it is."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

WAYS = ("blocks", "sixel", "kitty", "iterm2")
"""How pictures are shown, the one that every terminal knows first."""

SMALL_CELL = (7, 14)
"""Width and height in pixels of a character, where the terminal does not say: no larger than most."""

KITTY_PROGRAMS = ("ghostty",)
ITERM2_PROGRAMS = ("iTerm.app", "WezTerm")
TRUE_COLOUR_PROGRAMS = (*KITTY_PROGRAMS, *ITERM2_PROGRAMS, "vscode", "Hyper")


@dataclass(frozen=True)
class Terminal:
    """A terminal.

    Attributes:
        way: how it shows pictures, one of `WAYS`.
        columns: characters a line.
        lines: of the window.
        cell: width and height of a character in pixels.
        true_colour: whether it has more than 256 colours.
    """

    way: str
    columns: int
    lines: int
    cell: tuple[int, int] = SMALL_CELL
    true_colour: bool = True


def find_terminal(
    stream: IO[str], mode: str, environment: Mapping[str, str], ask_sixel: Callable[[], bool]
) -> Terminal | None:
    """The terminal behind a stream; None if there is none, or one that only writes lines.

    Args:
        mode: one of `WAYS`, or "auto", which looks at the environment and at last asks the terminal.
    """
    if not stream.isatty() or environment.get("TERM") == "dumb":
        return None
    columns, lines, cell = window_size(stream.fileno())
    way = choose_way(environment, ask_sixel) if mode == "auto" else mode
    return Terminal(way, columns, lines, cell or SMALL_CELL, has_true_colour(environment))


def choose_way(environment: Mapping[str, str], ask_sixel: Callable[[], bool]) -> str:
    """What the terminal knows. Inside tmux or screen only what those know counts."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    inside = "TMUX" in environment or term.startswith(("screen", "tmux"))
    if not inside:
        if "KITTY_WINDOW_ID" in environment or "kitty" in term or program in KITTY_PROGRAMS:
            return "kitty"
        if program in ITERM2_PROGRAMS or environment.get("LC_TERMINAL") == "iTerm2":
            return "iterm2"
    return "sixel" if ask_sixel() else "blocks"


def has_true_colour(environment: Mapping[str, str]) -> bool:
    """Whether the terminal says so, or is known to have it."""
    return (
        environment.get("COLORTERM") in ("truecolor", "24bit")
        or environment.get("TERM", "").endswith(("-direct", "-kitty", "-ghostty"))
        or environment.get("TERM_PROGRAM") in TRUE_COLOUR_PROGRAMS
        or "WT_SESSION" in environment
    )


def window_size(descriptor: int) -> tuple[int, int, tuple[int, int] | None]:
    """Columns and lines, and the pixels of a character if the terminal tells."""
    try:
        import fcntl
        import termios

        answer = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
        lines, columns, width, height = struct.unpack("4H", answer)
    except (ImportError, OSError):
        lines = columns = width = height = 0
    if not (lines and columns):
        columns, lines = shutil.get_terminal_size()
    cell = (width // columns, height // lines)
    return columns, lines, cell if all(cell) else None
