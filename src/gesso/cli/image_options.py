"""Options for what is done with a picture: drawn over, repainted, grown, varied, tiled, enlarged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option("--image", "-i", metavar="FILE", help="Start from this picture."),
    click.option(
        "--strength", type=float, metavar="X", help="How much of it may change, up to 1.  [default: 0.8]"
    ),
    click.option(
        "--fit",
        metavar="resize|crop|pad",
        help="How it gets the size that is drawn.  [default: resize]",
    ),
    click.option("--mask", metavar="FILE", help="Repaint only where this picture is white."),
    click.option(
        "--mask-blur",
        type=int,
        metavar="PIXELS",
        help="Mix new and old over so many inside the mask's edge.  [default: 4]",
    ),
    click.option(
        "--only-masked",
        is_flag=True,
        default=None,
        help="Draw what is around the mask at the model's size, and put it back.",
    ),
    click.option(
        "--mask-padding",
        type=int,
        metavar="PIXELS",
        help="How much around it, for --only-masked.  [default: 32]",
    ),
    click.option("--expand", metavar="left=N,top=N,…", help="Grow the picture, and paint what is new."),
    click.option(
        "--variation-seed", type=int, metavar="S", help="Of the noise that varies the picture's own."
    ),
    click.option(
        "--variation-strength", type=float, metavar="X", help="How much of that, 0 to 1.  [default: 0]"
    ),
    click.option(
        "--seed-resize", metavar="WxH", help="Draw much as this seed does at another size, such as 512x512."
    ),
    click.option("--tiling", metavar="x|y|both", help="Let the picture repeat without a seam."),
    click.option(
        "--hires-scale", type=float, metavar="X", help="Draw a second time, so many times as large."
    ),
    click.option("--hires-steps", type=int, metavar="N", help="Of the second pass.  [default: --steps]"),
    click.option(
        "--hires-strength",
        type=float,
        metavar="X",
        help="How much the second pass may change.  [default: 0.7]",
    ),
    click.option(
        "--hires-upscaler",
        metavar="NAME|FILE",
        help="What enlarges in between: latent, latent_bicubic, lanczos, …, or the file of an ESRGAN-like "
        "network.  [default: latent]",
    ),
)


def image_options(command: Command) -> Command:
    """Each is a field of `gesso.pipeline.request.GenerationRequest`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
