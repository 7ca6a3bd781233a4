"""iTerm2's inline images (iterm2.com/documentation-images.html), which WezTerm reads too."""

from __future__ import annotations

import base64

from PIL import Image

from gesso.cli.terminal.png import png


def encode(image: Image.Image, columns: int, rows: int) -> str:
    """A picture over so many cells; the cursor ends somewhere below."""
    data = png(image)
    keys = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={keys}:{base64.b64encode(data).decode()}\x07"
