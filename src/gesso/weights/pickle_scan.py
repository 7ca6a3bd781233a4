"""What a pickle would call, found by reading its instructions without obeying any.

A pickle is a program for a small stack machine. The only instructions that reach outside it name a
module's attribute (GLOBAL, STACK_GLOBAL, INST) or an entry of the extension registry (EXT).
"""

from __future__ import annotations

import io
import pickletools
from typing import BinaryIO

STRING_OPCODES = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING"} | {
    "SHORT_BINSTRING"
}


def scan_pickle(file: BinaryIO) -> tuple[list[str], int]:
    """Read one pickle from where ``file`` stands, up to and including its STOP.

    Returns:
        The dotted names it refers to, in order, and its protocol.

    Raises:
        ValueError: it is not a pickle, or breaks off.
    """
    names: list[str] = []
    strings: list[str] = []
    protocol = 0
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in STRING_OPCODES:
            strings.append(str(argument))
        elif opcode.name in ("GLOBAL", "INST"):
            names.append(str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            names.append(".".join(strings[-2:]))
        elif opcode.name.startswith("EXT"):
            names.append(f"copyreg extension {argument}")
        elif opcode.name == "PROTO":
            protocol = int(argument or 0)
    return names, protocol


def is_pickle(head: bytes) -> bool:
    """Whether bytes without a signature are a whole pickle of protocol 0 or 1."""
    try:
        scan_pickle(io.BytesIO(head))
    except ValueError:
        return False
    return True
