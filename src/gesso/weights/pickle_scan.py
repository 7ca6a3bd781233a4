"""What a pickle would call, found by reading its instructions without obeying any.

A pickle is a program for a small stack machine. The only instructions that reach outside it name a
module's attribute (GLOBAL, STACK_GLOBAL, INST) or an entry of the extension registry (EXT).
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator
from typing import BinaryIO

STRING_OPCODES = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING"} | {
    "SHORT_BINSTRING"
}


def scan_pickle(file: BinaryIO) -> tuple[list[str], int]:
    """Read one pickle from where ``file`` stands, up to and including its STOP.

    Returns:
        The dotted names it refers to, in order, and its protocol (at least 4 if names are computed).

    Raises:
        ValueError: it is not a pickle, or breaks off.
    """
    names: list[str] = []
    strings: list[str] = []
    protocol = 0
    for opcode, argument in instructions(file):
        if opcode.name in STRING_OPCODES:
            strings.append(str(argument))
        elif opcode.name in ("GLOBAL", "INST"):
            names.append(str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            names.append(".".join(strings[-2:]))  # a guess: the strings may have come from elsewhere
            protocol = max(protocol, 4)  # so no claim of an older one counts
        elif opcode.name.startswith("EXT"):
            names.append(f"copyreg extension {argument}")
        elif opcode.name == "PROTO":
            protocol = max(protocol, int(str(argument)))
    return names, protocol


def instructions(file: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, object]]:
    try:
        for opcode, argument, _ in pickletools.genops(file):
            yield opcode, argument
    except (MemoryError, OverflowError) as error:
        raise ValueError("an argument claims to be larger than any file") from error


def is_pickle(head: bytes) -> bool:
    """Whether bytes without a signature are a whole pickle of protocol 0 or 1."""
    try:
        scan_pickle(io.BytesIO(head))
    except ValueError:
        return False
    return True
