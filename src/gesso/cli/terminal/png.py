"""Pictures as PNG data, for terminals that read it."""

from __future__ import annotations

import io

from PIL import Image


def png(image: Image.Image) -> bytes:
    """Written in a hurry: it goes no further than the terminal."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
