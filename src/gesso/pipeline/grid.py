"""Grids: one request, drawn at all values of one, two or three of its fields."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from gesso.errors import GessoError, RequestError
from gesso.pipeline.axis import Axis
from gesso.pipeline.basic_fields import DRAWN_SEEDS
from gesso.pipeline.fields import check_whole
from gesso.pipeline.request import GenerationRequest, ResolvedRequest
from gesso.pipeline.request_file import located

if TYPE_CHECKING:
    from PIL.Image import Image

    from gesso.pipeline.pipeline import Pipeline

MAX_CELLS = 1000
MOST_CELLS = 10_000
"""What the limit can be raised to."""

SHAPES = ("width", "height", "hires_scale", "expand", "only_masked", "image", "mask")
SEEDS = ("seed", "variation_seed")


class Place(NamedTuple):
    """Where a cell is: its column, its row and its block, from 0."""

    x: int
    y: int
    z: int


@dataclass(frozen=True)
class Cell:
    """One of a grid's pictures, yet to be drawn."""

    place: Place
    request: GenerationRequest


@dataclass(frozen=True)
class Drawing:
    """A picture to draw, and the cells that show it: all those that ask for the same."""

    request: ResolvedRequest
    cells: tuple[Cell, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture, in pixels, but for some that a second pass rounds off."""
        request = self.request
        if request.only_masked and request.image is not None:
            return request.image.size
        scale = request.hires_scale or 1.0
        return int(request.width * scale), int(request.height * scale)


class Grid:
    """A request, and the axes along which fields of it vary.

        grid = Grid("a red house", x="sampler=euler,dpmpp_2m", y="guidance_scale=3,7,12")
        images = {cell.place: image for cell, image in grid.draw(pipe)}
        draw_sheet(grid, images).save("grid.png")            # gesso.pipeline.sheet

    All cells have one seed, unless that is an axis; where the request leaves it open, it is drawn here.

    Args:
        request: what the cells have in common; or a prompt, with the other fields as keywords, which then
            only need to go together with the axes.
        x: the axis from left to right, as `Axis.read` reads it from text; None is one column.
        y: from top to bottom.
        z: from block to block, each a grid of x and y, one below the other.
        max_cells: how many there may be, up to 10,000.

    Attributes:
        fields: what the cells have in common.
        axes: those there are, by name.
        cells: row by row, block by block.

    Raises:
        RequestError: an axis or a cell cannot be drawn, two axes are the same, or there are too many cells;
            ``where`` begins with the axis.
    """

    def __init__(
        self,
        request: GenerationRequest | str,
        *,
        x: Axis | str | None = None,
        y: Axis | str | None = None,
        z: Axis | str | None = None,
        max_cells: int = MAX_CELLS,
        **fields: Any,
    ) -> None:
        common = {"prompt": request} if isinstance(request, str) else dict(vars(request))
        self.fields = {**common, **fields}
        if self.fields.get("count", 1) != 1:
            raise RequestError("a cell of a grid is one picture", "Vary the seed for more.", where="count")
        given = {"x": x, "y": y, "z": z}
        self.axes = {name: _axis(name, axis) for name, axis in given.items() if axis is not None}
        self._check_axes(check_whole(max_cells, "max_cells", 1, MOST_CELLS))
        self._drawn = {name: secrets.randbelow(DRAWN_SEEDS) for name in SEEDS}
        self.cells = [self._cell(place) for place in self._places()]

    @property
    def shape(self) -> Place:
        """How many columns, rows and blocks there are."""
        return Place(*(len(self.axes[name].values) if name in self.axes else 1 for name in Place._fields))

    def name_of(self, place: Place) -> str:
        """What messages call a cell: "x sampler=euler, y steps=10"."""
        values = (
            f"{name} {axis.title}={axis.label(getattr(place, name)):.40}"
            for name, axis in self.axes.items()
        )
        return ", ".join(values) or "grid"

    def plan(self, pipeline: Pipeline) -> list[Drawing]:
        """What a model is to draw: each picture once, those of one size after one another.

        Raises:
            RequestError: the model cannot draw a cell.
        """
        drawings: dict[ResolvedRequest, list[Cell]] = {}
        for cell in sorted(self.cells, key=self._turn):
            with self._naming(cell.place):
                request = cell.request.resolve(pipeline.config)
                pipeline.check(request)
            drawings.setdefault(request, []).append(cell)
        return [Drawing(request, tuple(cells)) for request, cells in drawings.items()]

    def draw(self, pipeline: Pipeline) -> Iterator[tuple[Cell, Image]]:
        """Draw all cells, and yield each with its picture, as soon as that is there.

        Raises:
            RequestError: the model cannot draw a cell; nothing is drawn then.
        """
        for drawing in self.plan(pipeline):
            (image,) = pipeline.draw(drawing.request)
            for cell in drawing.cells:
                yield cell, image

    def _check_axes(self, max_cells: int) -> None:
        varied = [(axis.field, axis.search) for axis in self.axes.values()]
        for name, key in zip(self.axes, varied, strict=True):
            if varied.count(key) > 1:
                raise RequestError("two axes vary it", "Leave one out.", where=f"{name}: {key[0]}")
        cells = prod(self.shape)
        if cells > max_cells:
            raise RequestError(
                f"{' × '.join(f'{count:,}' for count in self.shape)} cells are more than {max_cells:,}",
                f"Use fewer values, or raise max_cells, to at most {MOST_CELLS:,}.",
                where="grid",
            )

    def _places(self) -> Iterator[Place]:
        columns, rows, blocks = self.shape
        return (Place(x, y, z) for z, y, x in product(range(blocks), range(rows), range(columns)))

    def _cell(self, place: Place) -> Cell:
        values = self.fields
        # Words are replaced last: in the prompts of another axis, too.
        for name, axis in sorted(self.axes.items(), key=lambda entry: entry[1].search is not None):
            with self._naming(place):
                values = axis.set(values, getattr(place, name))
        with self._naming(place):
            request = GenerationRequest.from_json(values)
            if request.seed is None:
                request = replace(request, seed=self._drawn["seed"])
            if request.variation_strength and request.variation_seed is None:
                request = replace(request, variation_seed=self._drawn["variation_seed"])
        return Cell(place, request)

    def _turn(self, cell: Cell) -> tuple[int, ...]:
        """What cells are sorted by to be drawn: sizes vary slowest, for which memory is laid out anew (and
        on a GPU graphs are), and seeds fastest.
        """
        slowness = {name: _slowness(axis.field) for name, axis in self.axes.items()}
        order = sorted("zyx", key=lambda name: -slowness.get(name, 0))
        return tuple(getattr(cell.place, name) for name in order)

    @contextmanager
    def _naming(self, place: Place) -> Iterator[None]:
        """Say of an error which axis it is about; or else which cell."""
        try:
            yield
        except GessoError as error:
            for name, axis in self.axes.items():
                if axis.field == error.where:
                    raise located(error, name) from error
            values = (
                f"{name} {axis.title}={axis.label(getattr(place, name))}"
                for name, axis in self.axes.items()
            )
            raise located(error, ", ".join(values)) from error


def _axis(name: str, axis: Axis | str) -> Axis:
    if isinstance(axis, Axis):
        return axis
    try:
        return Axis.read(axis)
    except GessoError as error:
        raise located(error, name) from error


def _slowness(field: str) -> int:
    return 1 if field in SHAPES else -1 if field in SEEDS else 0
