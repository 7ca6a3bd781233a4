"""What a file is, from its bytes: the suffix says what somebody hoped it to be."""

from __future__ import annotations

import re
import struct
import tarfile
from pathlib import Path
from typing import Literal

from gesso.errors import FormatError
from gesso.weights.pickle_scan import is_pickle

WeightsFormat = Literal["safetensors", "zip", "pickle"]

HEADER_LIMIT = 100_000_000
"""Bytes of a safetensors header, by its specification; a "header" beyond it is something else."""

HEAD = 65_536
"""Bytes of a file that recognition looks at."""

AGAIN = "Get the file again."
USE_ANOTHER = "Use a .safetensors or .ckpt file, or a Diffusers folder."

SIGNATURES = (
    (b"GGUF", "is a GGUF file (quantised for llama.cpp and its kin)", "Use the original weights."),
    (b"\x89HDF", "is an HDF5 file (Keras weights)", "Use the PyTorch weights of this model."),
    (b"\x93NUMPY", "is a NumPy array", USE_ANOTHER),
    (b"\x89PNG", "is a PNG picture", USE_ANOTHER),
    (b"\xff\xd8\xff", "is a JPEG picture", USE_ANOTHER),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", "Unpack it first."),
    (b"Rar!", "is a RAR archive", "Unpack it first."),
    (b"\x1f\x8b", "is a gzip archive", "Unpack it first."),
    (b"PK\x05\x06", "is an empty zip archive", AGAIN),
)


def weights_format(path: Path) -> WeightsFormat:
    """Recognise a weights file.

    Raises:
        FormatError: there is no such file, or it is none: empty, a web page, a git-LFS pointer …
    """
    head = read_head(path)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if looks_like_safetensors(head):
        return "safetensors"
    refuse_known(path, head)
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "pickle"
    if is_pickle(head):
        return "pickle"
    raise FormatError(f"is not a weights file (it begins with {head[:16]!r})", USE_ANOTHER, where=str(path))


def read_head(path: Path) -> bytes:
    """The first bytes of a regular file that has any."""
    where = str(path)
    try:
        if path.is_dir():
            raise FormatError("is a folder, not a weights file", where=where)
        if not path.exists():
            raise FormatError("there is no such file", "Check the path.", where=where)
        if not path.is_file():
            raise FormatError("is not a regular file", where=where)
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})", where=where) from error
    if not head:
        raise FormatError("is empty (0 bytes)", AGAIN, where=where)
    return head


def looks_like_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, then JSON."""
    if len(head) < 9:
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return 2 <= length <= HEADER_LIMIT and head[8:9] == b"{"


def refuse_known(path: Path, head: bytes) -> None:
    """Say what a file is that people take for weights."""
    where = str(path)
    if head.startswith(b"version https://git-lfs"):
        size = re.search(rb"\nsize (\d+)", head)
        promised = f" to a file of {int(size[1]):,} bytes" if size else ""
        raise FormatError(
            f"is a git-LFS pointer{promised}, not the file itself",
            "Run `git lfs pull`, or download the file.",
            where=where,
        )
    if not head.strip(b"\0"):
        raise FormatError(
            "begins with nothing but zeros, as a broken-off download does", AGAIN, where=where
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        raise FormatError(
            "is a web page saved under this name, not the file itself",
            "Download the file itself (the page may ask you to log in first).",
            where=where,
        )
    if text.startswith((b"{", b"[")):
        raise FormatError("is JSON text, not a weights file", AGAIN, where=where)
    for signature, what, advice in SIGNATURES:
        if head.startswith(signature):
            raise FormatError(what, advice, where=where)
    if tarfile.is_tarfile(path):
        raise FormatError("is a tar archive", "Unpack it first.", where=where)
