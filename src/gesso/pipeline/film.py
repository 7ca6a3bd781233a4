"""The film of a picture's denoising: what each step took it to be, and at last the picture, for longer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from PIL import Image

from gesso.errors import OutputError
from gesso.pipeline.output import OutputPattern

SUFFIXES = (".webp", ".gif", ".mp4")

MOST_FRAMES = 100
"""Of a film; a walk of more steps shows every second, every third …, and the last."""

FRAME_MS = 100
LAST_MS = 2000
"""How long each picture is shown, and the finished one."""


def film_pattern(text: str) -> OutputPattern:
    """The names of films, ``{seed}`` and ``{index}`` filled in as for pictures.

    Raises:
        OutputError: it names no file with one of `SUFFIXES`, or MP4 where PyAV is not installed.
    """
    if not text.lower().endswith(SUFFIXES):
        raise OutputError("it is no film's name", "Name a .webp, .gif or .mp4 file.", where=text)
    pattern = OutputPattern(text, SUFFIXES)
    if text.lower().endswith(".mp4") and find_spec("av") is None:
        raise OutputError(
            "MP4 films need the library PyAV",
            'Install it: pip install "gesso[film]". Or name a .webp or .gif file.',
            where=text,
        )
    return pattern


def chosen_steps(steps: int) -> list[int]:
    """Which of so many steps a film shows: all, or evenly spaced ones that end with the last."""
    frames = min(steps, MOST_FRAMES - 1)
    return [(place + 1) * steps // frames - 1 for place in range(frames)]


def film(frames: Sequence[Image.Image], suffix: str) -> bytes:
    """A film as a file's bytes. Frames of other sizes are made as large as the last one.

    Args:
        suffix: of the file, one of `SUFFIXES`.
    """
    size = frames[-1].size
    alike = [frame.convert("RGB").resize(size, Image.Resampling.BICUBIC) for frame in frames]
    buffer = io.BytesIO()
    WRITERS[suffix](alike, buffer)
    return buffer.getvalue()


def _write_animation(frames: Sequence[Image.Image], buffer: io.BytesIO, **options: Any) -> None:
    """Shown again and again."""
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    first, *others = frames
    first.save(buffer, save_all=True, append_images=others, duration=times, loop=0, **options)


def _write_mp4(frames: Sequence[Image.Image], buffer: io.BytesIO) -> None:
    """H.264 in its most common form, which has colours for every second pixel and so even sides."""
    av: Any = import_module("av")
    width, height = (side - side % 2 for side in frames[0].size)
    with av.open(buffer, mode="w", format="mp4") as container:
        stream = container.add_stream("h264", rate=1000 // FRAME_MS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16"}
        for frame in [*frames, *[frames[-1]] * (LAST_MS // FRAME_MS - 1)]:
            picture = av.VideoFrame.from_image(frame.crop((0, 0, width, height)))
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


WRITERS = {
    ".webp": partial(_write_animation, format="WEBP", quality=90, method=4),
    ".gif": partial(_write_animation, format="GIF"),
    ".mp4": _write_mp4,
}
