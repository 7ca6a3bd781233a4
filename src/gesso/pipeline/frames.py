"""How many frames a picture's file has, found out without decoding them."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

MAX_FRAMES = 1000
"""Above, a file is refused: nobody means the first of so many, and programs that walk them hang."""

EXTENSION, FRAME = b"\x21", b"\x2c"


def count_frames(pil_image: Image.Image, file: BinaryIO) -> int:
    """Frames of an opened file; of a GIF, whose header does not tell, at most one more than the limit."""
    if pil_image.format != "GIF":
        return getattr(pil_image, "n_frames", 1)
    place = file.tell()
    try:
        return _count_gif_frames(file)
    finally:
        file.seek(place)


def _count_gif_frames(file: BinaryIO) -> int:
    """Walk over a GIF's blocks (GIF89a specification, §§17–26)."""
    file.seek(0)
    header = file.read(13)
    _skip_palette(file, header[10])
    frames = 0
    while frames <= MAX_FRAMES:
        kind = file.read(1)
        if kind == EXTENSION:
            file.seek(1, 1)
        elif kind == FRAME:
            frames += 1
            descriptor = file.read(9)
            _skip_palette(file, descriptor[8] if len(descriptor) == 9 else 0)
            file.seek(1, 1)  # the code size
        else:
            return frames  # the trailer, or the file is cut short
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
    return frames


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), 1)
