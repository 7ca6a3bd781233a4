"""The sheet of a grid: its pictures in rows and columns, under what they are called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from PIL import Image, ImageDraw

from gesso.errors import RequestError
from gesso.pipeline.axis import Axis
from gesso.pipeline.fields import check_whole
from gesso.pipeline.grid import Grid, Place
from gesso.pipeline.lettering import Lettering
from gesso.pipeline.pictures import MAX_PIXELS

SMALLEST = 128
"""Pixels of the longer side; smaller pictures are shown enlarged, by a whole factor."""

LARGEST = 8192
LABEL_LINES = 4
TITLE_LINES = 2
INK, PALE, EMPTY = "#222222", "#707070", "#e4e4e4"


class Sheet:
    """How a grid is laid out, for pictures of a size.

    Columns from left to right are x, rows y, and blocks from top to bottom z. Letters are as large as the
    pictures allow, and never smaller than 14 pixels.

    Args:
        picture_size: width and height of the pictures, in pixels.
        cell_size: how long the longer side of a picture is on the sheet. None is its own length, or for a
            small one a multiple of it.
        font: of the labels, a TrueType or OpenType file. None takes one that has the letters.

    Attributes:
        size: of the sheet, in pixels.
        lettering: whose ``lacking`` are the letters of the labels that no font had.

    Raises:
        RequestError: it would have more than 67 megapixels; ``where`` is "sheet".
        ImageError: the file is no font.
    """

    def __init__(
        self,
        grid: Grid,
        picture_size: tuple[int, int],
        *,
        cell_size: int | None = None,
        font: str | None = None,
    ) -> None:
        self.grid = grid
        longer = max(picture_size)
        if cell_size is None:
            self.scale = float(max(1, -(-SMALLEST // longer)))
        else:
            self.scale = check_whole(cell_size, "cell_size", 8, LARGEST) / longer
        self.cell = _scaled(picture_size, self.scale)
        self.lettering = Lettering(min(max(max(self.cell) // 24, 14), 48), font)
        self.gap = self.lettering.size // 2
        columns, rows, blocks = grid.shape
        self.left = self._row_labels_width()
        self.column = max(self.cell[0], 6 * self.lettering.size) + self.gap
        self.row = max(self.cell[1], self.lettering.line_height) + self.gap
        width = self.gap + self.left + columns * self.column
        self.title = self._title(width - 2 * self.gap)
        self.header = self._header_height()
        self.block = self.header + rows * self.row + self.gap
        self.size = (width, self.gap + self._height(self.title) + blocks * self.block)
        self._check_size()

    def draw(self, pictures: Iterable[tuple[Place, Image.Image]]) -> Image.Image:
        """The sheet of pictures, each with its place; where none comes, it says so."""
        page = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(page)
        self.lettering.write(pen, (self.gap, self.gap), self.title, INK)
        for block in range(self.grid.shape.z):
            self._write_labels(pen, block)
        for cell in self.grid.cells:
            self._leave_empty(pen, cell.place)
        for place, picture in pictures:
            left, top = self._corner(place)
            page.paste("white", (left, top, left + self.cell[0], top + self.cell[1]))
            page.paste(self._shown(picture), (left, top))
        return page

    def _leave_empty(self, pen: ImageDraw.ImageDraw, place: Place) -> None:
        (left, top), (width, height) = self._corner(place), self.cell
        pen.rectangle((left, top, left + width - 1, top + height - 1), fill=EMPTY)
        lines = self.lettering.wrap("not drawn", width - self.gap, height // self.lettering.line_height)
        self.lettering.write(pen, (left + self.gap // 2, top + self.gap // 2), lines, PALE)

    def _shown(self, picture: Image.Image) -> Image.Image:
        """A picture as large as it is on the sheet, and no larger than its cell."""
        scale = min(self.scale, *(cell / side for cell, side in zip(self.cell, picture.size, strict=True)))
        return picture.convert("RGB").resize(_scaled(picture.size, scale), Image.Resampling.LANCZOS)

    def _corner(self, place: Place) -> tuple[int, int]:
        """Where a cell begins."""
        left = self.gap + self.left + place.x * self.column
        return left, self._top(place.z) + self.header + place.y * self.row

    def _top(self, block: int) -> int:
        return self.gap + self._height(self.title) + block * self.block

    def _write_labels(self, pen: ImageDraw.ImageDraw, block: int) -> None:
        write, top = self.lettering.write, self._top(block)
        write(pen, (self.gap, top), self._heading(block), INK)
        if y := self.grid.axes.get("y"):
            title = self._row_title(y)
            write(pen, (self.gap, top + self.header - self._height(title)), title, PALE)
            for row in range(self.grid.shape.y):
                _, row_top = self._corner(Place(0, row, block))
                write(pen, (self.gap, row_top), self._row_label(y, row), INK)
        if x := self.grid.axes.get("x"):
            labels = [self._column_label(x, column) for column in range(self.grid.shape.x)]
            labels_top = top + self.header - max(map(self._height, labels))
            title = self._column_title(x)
            left, _ = self._corner(Place(0, 0, block))
            write(pen, (left, labels_top - self._height(title)), title, PALE)
            for column, label in enumerate(labels):
                write(pen, (left + column * self.column, labels_top), label, INK)

    def _title(self, width: int) -> list[str]:
        """What all pictures have in common: the prompt, unless that varies as a whole."""
        whole = any(axis.field == "prompt" and axis.search is None for axis in self.grid.axes.values())
        return [] if whole else self.lettering.wrap(str(self.grid.fields["prompt"]), width, TITLE_LINES)

    def _heading(self, block: int) -> list[str]:
        z = self.grid.axes.get("z")
        if z is None:
            return []
        width = self.left + self.grid.shape.x * self.column
        return self.lettering.wrap(f"{z.title}: {z.label(block)}", width, TITLE_LINES)

    def _column_title(self, axis: Axis) -> list[str]:
        return self.lettering.wrap(axis.title, self.grid.shape.x * self.column, 1)

    def _column_label(self, axis: Axis, column: int) -> list[str]:
        return self.lettering.wrap(axis.label(column), self.column - self.gap, LABEL_LINES)

    def _row_title(self, axis: Axis) -> list[str]:
        return self.lettering.wrap(axis.title, self.left - self.gap, TITLE_LINES)

    def _row_label(self, axis: Axis, row: int) -> list[str]:
        lines = (self.row - self.gap) // self.lettering.line_height
        return self.lettering.wrap(axis.label(row), self.left - self.gap, lines)

    def _row_labels_width(self) -> int:
        """As wide as the widest, up to some words."""
        y = self.grid.axes.get("y")
        if y is None:
            return 0
        most = 12 * self.lettering.size
        labels = (y.title, *map(y.label, range(self.grid.shape.y)))
        lines = (line for label in labels for line in self.lettering.wrap(label, most, LABEL_LINES))
        return max(map(self.lettering.width, lines), default=0) + self.gap

    def _header_height(self) -> int:
        """Of what is above each block's pictures."""
        blocks, columns = range(self.grid.shape.z), range(self.grid.shape.x)
        heading = max(self._height(self._heading(block)) for block in blocks)
        x, y = self.grid.axes.get("x"), self.grid.axes.get("y")
        above_columns = above_rows = 0
        if x:
            labels = max(self._height(self._column_label(x, column)) for column in columns)
            above_columns = self._height(self._column_title(x)) + labels
        if y:
            above_rows = self._height(self._row_title(y))
        return heading + max(above_columns, above_rows) + self.gap // 2

    def _height(self, lines: list[str]) -> int:
        return len(lines) * self.lettering.line_height

    def _check_size(self) -> None:
        width, height = self.size
        if width * height > MAX_PIXELS:
            raise RequestError(
                f"{width:,}×{height:,} pixels are more than {MAX_PIXELS:,}",
                "Show the pictures smaller (cell_size), or use fewer values.",
                where="sheet",
            )


def draw_sheet(
    grid: Grid,
    images: Mapping[Place, Image.Image],
    *,
    cell_size: int | None = None,
    font: str | None = None,
) -> Image.Image:
    """The sheet of a grid's pictures, by their places. See `Sheet`."""
    size = largest_size([image.size for image in images.values()] or [(SMALLEST, SMALLEST)])
    return Sheet(grid, size, cell_size=cell_size, font=font).draw(images.items())


def largest_size(sizes: Collection[tuple[int, int]]) -> tuple[int, int]:
    """What pictures of all these sizes fit into."""
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height
