"""Options to see inside: where words looked, the picture in the making, the film of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gesso.cli.terminal.terminal import WAYS

if TYPE_CHECKING:
    from gesso.cli.onlookers import Onlookers
    from gesso.pipeline.output import OutputPattern

Command = TypeVar("Command", bound=Callable[..., Any])

MODES = ("auto", *WAYS, "off")


def read_preview(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """A way to show pictures, or a folder.

    Raises:
        UsageError: it is neither; the prompt, say.
    """
    if value in MODES or value.endswith(("/", os.sep)) or Path(value).is_dir():
        return value
    raise click.UsageError(
        f"--preview takes {', '.join(MODES)} or a folder, whose name ends in a slash, not {value!r:.60}. "
        "Write the prompt before it, or --preview=auto."
    )


OPTIONS = (
    click.option(
        "--heatmaps",
        is_flag=True,
        help="Write beside each picture where in it each word of the prompt was looked up.",
    ),
    click.option(
        "--preview",
        is_flag=False,
        flag_value="auto",
        default="off",
        callback=read_preview,
        metavar="[=auto|blocks|sixel|kitty|iterm2|FOLDER/]",
        help="Show pictures forming in the terminal, as it can, or write their steps to a folder.",
    ),
    click.option(
        "--preview-decoder",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Show them, and films, with detail by a tiny decoder (taesd_decoder.safetensors).",
    ),
    click.option(
        "--steps-gif",
        metavar="FILE",
        help="Make the film of the steps: .webp, .gif or .mp4; {seed} and {index} as in --output.",
    ),
)


def look_options(command: Command) -> Command:
    """Each is an argument of `find_onlookers`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def find_onlookers(
    pattern: OutputPattern,
    heatmaps: bool,
    preview: str,
    preview_decoder: Path | None,
    steps_gif: str | None,
) -> Onlookers:
    """Those who see to what the options ask for.

    Args:
        pattern: the pictures' names.

    Raises:
        OutputError: a film has no name that it can have.
    """
    from gesso.cli.film_files import FilmFiles
    from gesso.cli.heatmap_files import HeatmapFiles
    from gesso.cli.onlookers import Onlooker, Onlookers
    from gesso.cli.previews import FolderPreview, terminal_preview

    everyone: list[Onlooker | None] = []
    if heatmaps:
        everyone.append(HeatmapFiles(pattern))
    if steps_gif is not None:
        from gesso.pipeline.film import film_pattern

        everyone.append(FilmFiles(film_pattern(steps_gif), preview_decoder))
    if preview not in MODES:
        everyone.append(FolderPreview(Path(preview), preview_decoder))
    elif preview != "off":
        everyone.append(terminal_preview(preview, preview_decoder))
    return Onlookers(*(each for each in everyone if each is not None))
