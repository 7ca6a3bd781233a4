"""Pictures that a request is given: read within limits, in one form, and found again by their pixels."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageOps

from gesso.errors import ImageError, RequestError
from gesso.pipeline.frames import MAX_FRAMES, count_frames

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What is read. Pillow knows more, some of which start other programs."""

MAX_BYTES = 256 * 1024**2
MAX_PIXELS = 8192 * 8192

_UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, struct.error, zlib.error)
"""What Pillow's decoders raise at files that are cut short or worse."""


class Picture:
    """A picture as a request holds it: equal to another if their pixels are.

    Attributes:
        pil_image: upright, of 8 bits a channel, in mode L, RGB or RGBA.
        path: the file it is from, as it was named; None if it is from no file.
        notes: what was done to it that its owner may not expect, one sentence each.
    """

    def __init__(self, pil_image: Image.Image, path: str | None = None, *, animated: bool = False) -> None:
        self.pil_image = upright(pil_image)
        self.path = path
        self.notes = ("only its first frame is used",) if animated else ()

    @classmethod
    def read(cls, source: object, where: str) -> Picture:
        """Read what a request's field was given.

        Args:
            source: a path, the bytes of a file, a PIL image, what `to_json` wrote, or a `Picture`.
            where: the field, for messages.

        Raises:
            ImageError: a file is missing, cut short, too large, or of another format.
            RequestError: the value is none of these, or the file is no longer the picture that it was.
        """
        match source:
            case Picture():
                return source
            case Image.Image():
                check_size(source.size, where)
                return cls(source)
            case bytes():
                check_bytes(len(source), where)
                return decode_file(io.BytesIO(source), None, where)
            case str() | os.PathLike():
                return read_file(Path(source))
            case Mapping():
                return find_again(source, where)
            case _:
                raise RequestError(
                    f"{type(source).__name__} is no picture",
                    "Give a file's path or a PIL image.",
                    where=where,
                )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pil_image.size

    @property
    def transparent(self) -> bool:
        alpha = self.pil_image.getchannel("A") if self.pil_image.mode == "RGBA" else None
        return alpha is not None and alpha.getextrema() != (255, 255)

    def colours(self) -> Image.Image:
        """In RGB, on white where it is transparent."""
        return flatten(self.pil_image, "white")

    def brightness(self) -> Image.Image:
        """In L, on black where it is transparent: a mask."""
        return flatten(self.pil_image, "black").convert("L")

    @cached_property
    def sha256(self) -> str:
        """Of mode, size and pixels."""
        header = f"{self.pil_image.mode} {self.size[0]}x{self.size[1]}\n".encode()
        return hashlib.sha256(header + self.pil_image.tobytes()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What is needed to find it again."""
        width, height = self.size
        return {"path": self.path, "width": width, "height": height, "sha256": self.sha256}

    def __eq__(self, other: object) -> bool:
        return self.sha256 == other.sha256 if isinstance(other, Picture) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Picture({self.path or 'in memory'}, {self.size[0]}×{self.size[1]})"

    def __deepcopy__(self, _memo: dict[int, object]) -> Picture:
        return self  # nobody changes it


def read_file(path: Path) -> Picture:
    """Read a picture from a file.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            check_bytes(os.fstat(file.fileno()).st_size, str(path))
            return decode_file(file, str(path), str(path))
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})", where=str(path)) from error


def decode_file(file: BinaryIO, path: str | None, where: str) -> Picture:
    """Decode a file's first frame, once its header has shown that it is small enough.

    Pillow itself refuses texts and colour profiles that unpack to more than some megabytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, weaker limits
            with Image.open(file, formats=FORMATS) as opened:
                check_size(opened.size, where)
                frames = count_frames(opened, file)
                if frames > MAX_FRAMES:
                    raise ImageError(
                        f"it has more than {MAX_FRAMES:,} frames", "Save the one you mean.", where=where
                    )
                opened.load()
                return Picture(opened, path, animated=frames > 1)
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            "it is no picture that gesso reads",
            f"Use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
            where=where,
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"it has more than {MAX_PIXELS:,} pixels", "Scale it down.", where=where
        ) from error
    except _UNREADABLE as error:
        raise ImageError(f"it is damaged or cut short ({error})", "Save it again.", where=where) from error


def check_bytes(size: int, where: str) -> None:
    if size > MAX_BYTES:
        raise ImageError(f"it has {size:,} bytes, more than {MAX_BYTES:,}", "Scale it down.", where=where)


def check_size(size: tuple[int, int], where: str) -> None:
    """Refuse a width and height that have too many pixels, or none."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"it has {width}×{height} pixels, more than {MAX_PIXELS:,}", "Scale it down.", where=where
        )
    if width * height == 0:
        raise ImageError("it has no pixels", where=where)


def find_again(reference: Mapping[Any, Any], where: str) -> Picture:
    """Read the file that `Picture.to_json` tells of, and make sure that it is still that picture."""
    path, sha256 = reference.get("path"), reference.get("sha256")
    size = f"{reference.get('width')}×{reference.get('height')} pixels"
    if path is None:
        raise RequestError(
            f"it was a picture of {size} that came from no file", "Give it again.", where=where
        )
    if not isinstance(path, str) or "\0" in path:
        raise RequestError("its path is not text", "Give the picture again.", where=where)
    try:
        picture = read_file(Path(path))
    except ImageError as error:
        raise RequestError(f"it was {path}, {size}: {error}", "Give it again.", where=where) from error
    if sha256 is not None and picture.sha256 != sha256:
        raise RequestError(f"{path} is no longer the picture that it was", "Give it again.", where=where)
    return picture


def upright(pil_image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, in mode L, RGB or RGBA."""
    return plain(ImageOps.exif_transpose(pil_image))


def plain(pil_image: Image.Image) -> Image.Image:
    """In mode L, RGB or RGBA: palettes become colours, 16 bits 8."""
    if pil_image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion would clip
        import numpy as np

        return Image.fromarray((np.asarray(pil_image) / 257).round().clip(0, 255).astype(np.uint8))
    if pil_image.has_transparency_data:
        return pil_image.convert("RGBA")
    return pil_image.convert("L" if pil_image.mode in ("1", "L") else "RGB")


def flatten(pil_image: Image.Image, ground: str) -> Image.Image:
    """In RGB, laid on a colour where it is transparent."""
    if not pil_image.has_transparency_data:
        return pil_image.convert("RGB")
    layer = pil_image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer).convert("RGB")
