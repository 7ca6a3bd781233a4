"""``--preview``: pictures in the making, in the terminal or in a folder."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gesso.cli.message import say
from gesso.cli.onlookers import Batch, Onlooker

if TYPE_CHECKING:
    from PIL.Image import Image

    from gesso.cli.terminal.region import Region
    from gesso.cli.terminal.terminal import Terminal
    from gesso.pipeline.preview import DrawingStep, Previewer
    from gesso.pipeline.request import ResolvedRequest

SHARE = 0.05
"""Of the time, that previews may take."""


def terminal_preview(mode: str, decoder: Path | None) -> Onlooker | None:
    """A preview in the terminal on stderr; None, and a line that says so, if there is none.

    Args:
        mode: "auto", or a way of `gesso.cli.terminal.terminal.WAYS`.
        decoder: the file of a tiny decoder.
    """
    from gesso.cli.terminal.query import draws_sixels
    from gesso.cli.terminal.terminal import find_terminal

    terminal = find_terminal(sys.stderr, mode, os.environ, draws_sixels)
    if terminal is None:
        say("stderr is no terminal that shows pictures, so there is no preview; try --preview steps/")
        return None
    return TerminalPreview(terminal, decoder)


class Budget:
    """A share of the time since it was made."""

    def __init__(self, share: float = SHARE, clock: Callable[[], float] = time.perf_counter) -> None:
        self.share, self.clock = share, clock
        self.began, self.spent = clock(), 0.0

    @property
    def left(self) -> bool:
        return self.spent <= self.share * (self.clock() - self.began)

    @contextmanager
    def spending(self) -> Iterator[None]:
        before = self.clock()
        yield
        self.spent += self.clock() - before


class TerminalPreview(Onlooker):
    """Shows steps as long as that takes no more than its share of the time, and then the finished picture.

    Finished pictures stay; one that is not finished is taken away.
    """

    def __init__(self, terminal: Terminal, decoder: Path | None) -> None:
        self.terminal = terminal
        self.decoder = decoder
        self.budget = Budget()
        self.previewer: Previewer | None = None
        self.region: Region | None = None

    def begin(self, batch: Batch) -> None:
        if self.previewer is None:
            self.previewer = batch.pipeline.previewer(self.decoder)

    def step(self, step: DrawingStep) -> None:
        if self.budget.left and self.previewer is not None:
            with self.budget.spending():
                self.show(self.previewer(step.denoised))

    def finished(self, images: list[Image]) -> None:
        self.show(images)
        self.region = None

    def leave(self) -> None:
        if self.region is not None:
            with beside_bars():
                self.region.erase()

    def show(self, images: list[Image]) -> None:
        from gesso.cli.terminal.region import Region, cells

        image = side_by_side(images)
        with beside_bars():
            if self.region and (self.region.columns, self.region.rows) != cells(image.size, self.terminal):
                self.region.erase()
                self.region = None
            if self.region is None:
                self.region = Region(self.terminal, write, image.size)
            if self.region.fits:
                self.region.draw(image)


class FolderPreview(Onlooker):
    """Writes every step of every picture to a folder: ``00001-7-step-0003.png``."""

    def __init__(self, folder: Path, decoder: Path | None) -> None:
        self.folder = folder
        self.decoder = decoder
        self.previewer: Previewer | None = None
        self.first: int | None = None

    def check(self, _request: ResolvedRequest, /) -> None:
        from gesso.pipeline.output import try_folder

        try_folder(self.folder)

    def begin(self, batch: Batch) -> None:
        from gesso.pipeline.output import as_output_errors

        if self.previewer is None:
            self.previewer = batch.pipeline.previewer(self.decoder)
        if self.first is None:  # past those of an earlier run
            with as_output_errors(self.folder):
                names = [entry.name for entry in self.folder.iterdir()] if self.folder.exists() else []
            self.first = 1 + max((int(name[:5]) for name in names if name[:5].isdecimal()), default=0)
        self.batch, self.done = batch, 0

    def step(self, step: DrawingStep) -> None:
        from gesso.cli.terminal.png import png
        from gesso.pipeline.output import write_new_file

        assert self.previewer is not None
        assert self.first is not None
        self.done += 1
        for place, image in enumerate(self.previewer(step.denoised)):
            number, seed = self.first + self.batch.indices[place], self.batch.request.seed_of(place)
            write_new_file(self.folder / f"{number:05d}-{seed}-step-{self.done:04d}.png", png(image))


def write(text: str) -> None:
    """To stderr, at once and in one piece."""
    sys.stderr.write(text)
    sys.stderr.flush()


@contextmanager
def beside_bars() -> Iterator[None]:
    """Without the progress bar, which comes back after it where the cursor is then."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        yield


def side_by_side(images: list[Image]) -> Image:
    """Pictures of one size as one, about as wide as high."""
    from PIL import Image

    if len(images) == 1:
        return images[0]
    columns = math.ceil(len(images) ** 0.5)
    width, height = images[0].size
    page = Image.new("RGB", (columns * width, math.ceil(len(images) / columns) * height))
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        page.paste(image, (column * width, row * height))
    return page
