"""The texts in a picture's file that may say how it was made: PNG, JPEG or WebP."""

from __future__ import annotations

from pathlib import Path

from gesso.errors import ImageError
from gesso.pipeline.exif_text import jpeg_exif, user_comment, webp_exif
from gesso.pipeline.png_text import read_png_texts

KEYWORDS = ("gesso", "gesso-grid", "parameters", "prompt", "workflow")
"""Of a PNG file's texts: gesso's own, that of its grids, AUTOMATIC1111's, and the two of ComfyUI."""

JPEG = b"\xff\xd8"


def read_texts(path: Path) -> dict[str, str]:
    """Those of `KEYWORDS` that a file has; the comment of a JPEG or WebP file is its ``parameters``.

    Raises:
        ImageError: the file cannot be read, is no such picture, or a text is corrupt or too long.
    """
    try:
        with path.open("rb") as file:
            header = file.read(12)
            if header.startswith(JPEG):
                file.seek(len(JPEG))
                block = jpeg_exif(file)
            elif header[:4] == b"RIFF" and header[8:] == b"WEBP":
                block = webp_exif(file)
            else:
                return read_png_texts(path, KEYWORDS)
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})", where=str(path)) from error
    except ValueError as error:
        raise ImageError(f"its text is not readable ({error})", where=str(path)) from error
    comment = user_comment(block) if block else None
    return {"parameters": comment} if comment else {}
