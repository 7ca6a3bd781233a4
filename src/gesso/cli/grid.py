"""``gesso grid``: one prompt at many settings, side by side."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.drawing import count_steps, draw, load_pipeline, named_folder
from gesso.cli.message import say
from gesso.cli.options import MODEL_OPTIONS, model_options
from gesso.cli.request_options import picture_options
from gesso.cli.unknown_words import UnknownWords

if TYPE_CHECKING:
    from PIL.Image import Image
    from tqdm import tqdm

    from gesso.pipeline.grid import Drawing, Grid, Place
    from gesso.pipeline.pipeline import Pipeline

SHEET_NAME = "grid.png"


@click.command(short_help="Draw a prompt at many settings, side by side.")
@click.argument("prompt")
@click.option("--x", metavar="FIELD=VALUES", help="What varies from left to right.")
@click.option("--y", metavar="FIELD=VALUES", help="What varies from top to bottom.")
@click.option("--z", metavar="FIELD=VALUES", help="What varies from block to block.")
@click.option(
    "--cell-size",
    type=int,
    metavar="PIXELS",
    help="Longer side of a picture on the sheet.  [default: its own; small ones are enlarged]",
)
@click.option("--font", metavar="FILE", help="Of the labels.  [default: one that has their letters]")
@click.option(
    "--max-cells",
    type=int,
    metavar="N",
    help="How many pictures there may be, up to 10000.  [default: 1000]",
)
@picture_options
@model_options
@click.option(
    "--output",
    "-o",
    metavar="FOLDER",
    help="Where the sheet, grid.png, and the single pictures go.  [default: outputs/grid-00001/, …]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the paths.")
def grid(
    prompt: str,
    x: str | None,
    y: str | None,
    z: str | None,
    cell_size: int | None,
    font: str | None,
    max_cells: int | None,
    output: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Draw PROMPT at all values of one, two or three fields of its request; print the paths of the
    pictures, and that of the sheet last.

    \b
    gesso grid "a castle" --x sampler=euler,dpmpp_2m --y guidance_scale=3,7,12
    gesso grid "a castle" --x steps=10..50..10 --y seed=1..4 --z clip_skip=1,2
    gesso grid "a castle at night" --x prompt:night=night,dawn --y prompt:castle=castle,house

    \b
    FIELD=A,B,C       values; "A, B" is one that has a comma; none leaves a field open
    FIELD=1..9..2     numbers from 1 to 9 by 2 (by 1 without the last)
    prompt:WORD=A,B   WORD in the prompt is replaced by each value; also negative_prompt:WORD

    Names of fields are those of the options: guidance-scale or guidance_scale. All cells have the same
    seed, unless it is an axis; all are checked before the first is drawn, and equal ones are drawn once.
    """
    from gesso.cli.progress import progress_bar
    from gesso.errors import GessoError
    from gesso.pipeline.grid import MAX_CELLS, Grid
    from gesso.pipeline.output import write_new_file
    from gesso.pipeline.sheet import Sheet, largest_size
    from gesso.pipeline.sheet_text import sheet_info

    if x is None and y is None and z is None:
        raise click.UsageError("Say what varies: --x FIELD=VALUES, --y or --z.")
    started = time.perf_counter()
    settings = {name: options.pop(name) for name in MODEL_OPTIONS}
    fields = {name: value for name, value in options.items() if value is not None}
    cells = Grid(prompt, x=x, y=y, z=z, max_cells=MAX_CELLS if max_cells is None else max_cells, **fields)
    folder = folder_of(output)
    pipeline = load_pipeline(**settings)
    drawings = cells.plan(pipeline)
    largest = largest_size([drawing.size for drawing in drawings])
    sheet = Sheet(cells, largest, cell_size=cell_size, font=font)
    run = Run(cells, pipeline, folder)
    run.check_free(drawings)
    UnknownWords(pipeline).tell(drawing.request for drawing in drawings)
    with progress_bar(sum(count_steps(drawing.request) for drawing in drawings), pipeline.name) as bar:
        page = sheet.draw(run.draw(drawings, bar, echo_paths=not as_json))
    buffer = io.BytesIO()
    page.save(buffer, format="PNG", pnginfo=sheet_info(cells, pipeline.name, run.files))
    write_new_file(folder / SHEET_NAME, buffer.getvalue())
    if lacking := sheet.lettering.lacking:
        say(f"no font here has {' '.join(sorted(lacking))}, so labels have numbers for it; try --font FILE")
    if as_json:
        seconds = round(time.perf_counter() - started, 3)
        report = {"sheet": str(folder / SHEET_NAME), "pictures": run.reports, "model": pipeline.name}
        click.echo(json.dumps({**report, "seconds": seconds}))
    else:
        click.echo(str(folder / SHEET_NAME))
    if run.failed:
        raise GessoError(f"{run.failed:,} of {len(drawings):,} pictures could not be drawn", where="grid")


def folder_of(output: str | None) -> Path:
    """Where the sheet and the pictures go: what was named, or a folder that is not there yet."""
    if output is not None:
        return named_folder(output, "A grid is a sheet and its pictures.")
    folders = (Path("outputs", f"grid-{number:05d}") for number in count(1))
    return next(folder for folder in folders if not folder.exists())


class Run:
    """The drawing of a grid's cells to files.

    Attributes:
        files: the name of each cell's picture.
        reports: what `--json` says of the pictures.
        failed: how many could not be drawn.
    """

    def __init__(self, grid: Grid, pipeline: Pipeline, folder: Path) -> None:
        self.grid = grid
        self.pipeline = pipeline
        self.folder = folder
        self.files: dict[Place, str] = {}
        self.reports: list[dict[str, Any]] = []
        self.failed = 0

    def check_free(self, drawings: Sequence[Drawing]) -> None:
        """Make sure that all pictures can be written.

        Raises:
            OutputError: a file is there already, or the folder cannot be written.
        """
        from gesso.pipeline.output import check_free, try_folder

        for drawing in drawings:
            check_free(self.path(drawing))
        check_free(self.folder / SHEET_NAME)
        try_folder(self.folder)

    def path(self, drawing: Drawing) -> Path:
        """A picture's file: its column, row and block, from 1."""
        place, shape = drawing.cells[0].place, self.grid.shape
        digits = {name: len(str(getattr(shape, name))) for name in self.grid.axes}
        parts = [f"{name}{getattr(place, name) + 1:0{width}}" for name, width in digits.items()]
        return self.folder / f"{'-'.join(parts) or 'picture'}.png"

    def draw(
        self, drawings: Sequence[Drawing], bar: tqdm[Any], *, echo_paths: bool
    ) -> Iterator[tuple[Place, Image]]:
        """Draw all pictures, and yield each with every place where it is shown. What goes wrong with one is
        said, and the others are drawn.

        Raises:
            OutputError: nothing more can be written.
        """
        from gesso.errors import GessoError, OutputError
        from gesso.pipeline.output import OutputPattern, escape

        for number, drawing in enumerate(drawings, 1):
            bar.set_description_str(f"{self.pipeline.name} {number} of {len(drawings)}", refresh=False)
            pattern = OutputPattern(escape(self.path(drawing)))
            try:
                (drawn,) = draw(self.pipeline, drawing.request, pattern, bar, echo_paths=echo_paths)
            except OutputError:
                raise
            except GessoError as error:
                self.failed += 1
                say(f"{self.grid.name_of(drawing.cells[0].place)}: {error}")
                continue
            places = [cell.place for cell in drawing.cells]
            self.files |= dict.fromkeys(places, drawn.path.name)
            self.reports.append({**drawn.to_json(), "cells": [place._asdict() for place in places]})
            for place in places:
                yield place, drawn.image
