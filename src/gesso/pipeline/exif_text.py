"""What a JPEG or WebP file says of its making, in its Exif block, read without touching its pixels.

AUTOMATIC1111 writes its parameters as Exif's UserComment (Exif 2.32, section 4.6.5, tag 0x9286). Nothing is
read but the block itself, of at most 64 KB in a JPEG file; nothing a file says of its sizes is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

EXIF = b"Exif\0\0"
MAX_BLOCK = 1 << 20
EXIF_DIRECTORY, USER_COMMENT = 0x8769, 0x9286
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
CODES = {b"ASCII": "latin-1", b"UNICODE": "utf-16", b"": "utf-8"}


def jpeg_exif(file: BinaryIO) -> bytes | None:
    """The Exif block of a JPEG file, which is read from after its first two bytes (ITU T.81, annex B)."""
    while (marker := file.read(2)) and marker[0] == 0xFF and len(marker) == 2:
        if marker[1] == 0xFF:  # fill bytes may stand before a marker
            file.seek(-1, 1)
            continue
        header = file.read(2)
        if marker[1] in (0xD9, 0xDA) or len(header) < 2:  # the end, or the pixels
            return None
        data = file.read(max(int.from_bytes(header, "big") - 2, 0))
        if marker[1] == 0xE1 and data.startswith(EXIF):
            return data[len(EXIF) :]
    return None


def webp_exif(file: BinaryIO) -> bytes | None:
    """The Exif block of a WebP file, which is read from its first chunk on (RFC 9649, section 2).

    Raises:
        ValueError: it is larger than a mebibyte.
    """
    while len(header := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", header)
        if kind == b"EXIF":
            if length > MAX_BLOCK:
                raise ValueError(f"more than {MAX_BLOCK:,} bytes")
            return file.read(length).removeprefix(EXIF)
        file.seek(length + length % 2, 1)
    return None


def user_comment(block: bytes) -> str | None:
    """The UserComment of an Exif block, which is a TIFF file; None if it has none, or is damaged."""
    order = BYTE_ORDERS.get(block[:4])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        for tag, value in _entries(block, order, first):
            if tag == EXIF_DIRECTORY:
                (place,) = struct.unpack(f"{order}I", value[:4])
                return next(
                    (
                        _text(each, order)
                        for name, each in _entries(block, order, place)
                        if name == USER_COMMENT
                    ),
                    None,
                )
    except struct.error:
        pass  # a place outside of the block
    return None


def _entries(block: bytes, order: str, place: int) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each entry of a directory (TIFF 6.0, section 2)."""
    (count,) = struct.unpack_from(f"{order}H", block, place)
    for number in range(count):
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, place + 2 + 12 * number)
        size = TYPE_SIZES.get(kind, 0) * length
        at = place + 10 + 12 * number
        if size > 4:
            (at,) = struct.unpack_from(f"{order}I", block, at)
        yield tag, block[at : at + size]


def _text(value: bytes, order: str) -> str:
    """What follows the eight bytes that name a comment's character code."""
    code, text = value[:8].rstrip(b"\0 "), value[8:]
    encoding = CODES.get(code, "utf-8")
    if encoding == "utf-16" and text[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16-be" if _is_big_endian(text, order) else "utf-16-le"
    return text.decode(encoding, "replace").strip("\0")


def _is_big_endian(text: bytes, order: str) -> bool:
    """Whether letters have their zero first; programs differ in whether the block's order is the text's."""
    before, after = text[0::2].count(0), text[1::2].count(0)
    return before > after if before != after else order == ">"
