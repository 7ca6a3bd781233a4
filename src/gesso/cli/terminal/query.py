"""What a terminal answers when it is asked. It may not answer at all, and nobody waits for long."""

from __future__ import annotations

import os
import re
import select
import time

PATIENCE = 0.4
"""Seconds; a terminal at the other end of the world takes a quarter of one."""

ASK = b"\x1b[c"
ANSWER = re.compile(rb"\x1b\[\?([\d;]*)c")
SIXEL = 4


def draws_sixels() -> bool:
    """Whether the terminal says that it does, among its primary device attributes (DA1, ECMA-48).

    Not asked where it could do harm: in the background, where reading from the terminal stops a process,
    and on Windows. What has been typed meanwhile is lost.
    """
    try:
        import termios
        import tty

        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (ImportError, OSError):
        return False
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            return False
        before = termios.tcgetattr(terminal)
        try:
            tty.setcbreak(terminal, termios.TCSANOW)
            os.write(terminal, ASK)
            return SIXEL in attributes(_read_answer(terminal))
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    except (termios.error, OSError):
        return False
    finally:
        os.close(terminal)


def _read_answer(terminal: int) -> bytes:
    answer, deadline = b"", time.monotonic() + PATIENCE
    while not ANSWER.search(answer):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            break
        answer += os.read(terminal, 256)
    return answer


def attributes(answer: bytes) -> set[int]:
    """The numbers in an answer; none if it is not one."""
    found = ANSWER.search(answer)
    return {int(number) for number in found[1].split(b";") if number} if found else set()
