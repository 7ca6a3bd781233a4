"""The text chunks of a PNG file, read without touching its pixels.

PNG specification (third edition), §5 for the chunks and §11.3.3 for tEXt, zTXt and iTXt. Nothing is
decompressed but the texts asked for, and those only up to a limit, so a hostile file costs no memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from gesso.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT_BYTES = 1 << 20
MAX_KEYWORD_BYTES = 79
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


def read_png_texts(path: Path, keywords: Collection[str]) -> dict[str, str]:
    """The texts under the given keywords; of several under one, the first.

    Raises:
        ImageError: the file cannot be read, is no PNG file, or one of these texts is corrupt or longer
            than a mebibyte.
    """
    texts: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                raise ImageError(
                    "not a PNG, JPEG or WebP file", "No other carries a request.", where=str(path)
                )
            for keyword, text in _matching_texts(file, keywords):
                texts.setdefault(keyword, text)
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})", where=str(path)) from error
    except (ValueError, zlib.error) as error:
        raise ImageError(f"its text is not readable ({error})", where=str(path)) from error
    return texts


def _matching_texts(file: BinaryIO, keywords: Collection[str]) -> Iterator[tuple[str, str]]:
    """Walk from chunk to chunk; the end of the file, wherever it comes, ends the search."""
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        start = file.read(min(length, MAX_KEYWORD_BYTES + 1)) if kind in TEXT_CHUNKS else b""
        keyword = start.partition(b"\0")[0].decode("latin-1")
        if keyword not in keywords:
            file.seek(length - len(start) + 4, 1)
            continue
        if length > MAX_TEXT_BYTES:
            raise ValueError(f"more than {MAX_TEXT_BYTES:,} bytes")
        data = start + file.read(length - len(start))
        if file.read(4) != zlib.crc32(kind + data).to_bytes(4, "big"):
            raise ValueError("cut short, or its checksum is wrong")
        yield keyword, _text(kind, data.partition(b"\0")[2])


def _text(kind: bytes, data: bytes) -> str:
    """The text that follows a chunk's keyword."""
    if kind == b"tEXt":
        return data.decode("latin-1")
    if kind == b"zTXt":
        return _inflate(data[1:]).decode("latin-1")
    compressed, data = data[:1] == b"\1", data[2:]
    _language, _, data = data.partition(b"\0")
    _translated_keyword, _, data = data.partition(b"\0")
    return (_inflate(data) if compressed else data).decode("utf-8")


def _inflate(data: bytes) -> bytes:
    inflated = zlib.decompressobj().decompress(data, MAX_TEXT_BYTES + 1)
    if len(inflated) > MAX_TEXT_BYTES:
        raise ValueError(f"more than {MAX_TEXT_BYTES:,} bytes")
    return inflated
