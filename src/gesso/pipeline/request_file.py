"""Files of requests: a prompt a line (.txt), a JSON object a line (.jsonl), or a table (.csv)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from gesso.errors import GessoError, RequestError
from gesso.pipeline.field_text import field_name, value_of

MAX_BYTES = 64 * 1024**2
MAX_LINES = 100_000
MAX_LINE = 512 * 1024
"""Characters. A prompt has 32 KB at most, which JSON may write six times as long."""

DELIMITERS = ",;\t"
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class FileLine:
    """A request as a file states it.

    Attributes:
        number: of the line (in a table, of the row's last line), from 1.
        fields: those of `gesso.GenerationRequest` that it gives; not yet validated.
        cells: whether they are the texts of a table's cells, yet to be read.
    """

    number: int
    fields: dict[str, Any]
    cells: bool = False

    def over(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """All fields of the request, where ``defaults`` are those that the line leaves out.

        Raises:
            RequestError: a cell cannot be read.
        """
        given = self.fields
        if self.cells:
            given = {name: value_of(name, cell) for name, cell in given.items()}
        return {**defaults, **given}


def read_requests(file: BinaryIO, name: str, form: str) -> list[FileLine]:
    """Read a file of requests. Blank lines are skipped; in .txt so are those that begin with #.

    Args:
        name: of the file, for messages.
        form: how it is written, a name of `FORMS`.

    Raises:
        RequestError: it is too large, not UTF-8, empty, or has a line that states no request; ``where`` is
            the file and the line, as in "prompts.csv:17".
    """
    text = decode(file.read(MAX_BYTES + 1), name)
    lines = _LINE_END.split(text)
    if len(lines) > MAX_LINES + 1:
        raise RequestError(f"it has more than {MAX_LINES:,} lines", "Divide it.", where=name)
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise RequestError(
                f"{len(line):,} characters are more than a line can have ({MAX_LINE:,})",
                where=line_of(name, number),
            )
    found = list(FORMS[form](lines, name))
    if not found:
        raise RequestError("it has no requests", "Write one a line.", where=name)
    return found


def form_of(path: Path) -> str:
    """How a file is written, by its suffix.

    Raises:
        RequestError: it is none of them.
    """
    form = path.suffix.casefold().removeprefix(".")
    if form not in FORMS:
        raise RequestError(
            f"{path.suffix or 'a name without suffix'} does not say how it is written",
            f"Say --format {', '.join(list(FORMS)[:-1])} or {list(FORMS)[-1]}.",
            where=str(path),
        )
    return form


def line_of(name: str, number: int) -> str:
    """How messages call a line of a file."""
    return f"{name}:{number}"


def decode(data: bytes, name: str) -> str:
    """UTF-8, with or without a byte-order mark.

    Raises:
        RequestError: it is something else, or too much.
    """
    if len(data) > MAX_BYTES:
        raise RequestError(f"it has more than {MAX_BYTES:,} bytes", "Divide it.", where=name)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RequestError("it is in UTF-16", "Save it as UTF-8.", where=name)
    if b"\0" in data:
        raise RequestError("it is no text", "Give a .txt, .jsonl or .csv file in UTF-8.", where=name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = len(_LINE_END.split(data[: error.start].decode("latin-1")))
        raise RequestError(
            "it is not in UTF-8", "Save it as UTF-8.", where=line_of(name, number)
        ) from error


def _read_prompts(lines: list[str], name: str) -> Iterator[FileLine]:
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("--"):
            raise RequestError(
                f"{line.split()[0]:.40} is an option, and in a .txt file lines are prompts",
                "Write options in a .jsonl or .csv file.",
                where=line_of(name, number),
            )
        yield FileLine(number, {"prompt": line})


def _read_objects(lines: list[str], name: str) -> Iterator[FileLine]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield FileLine(number, _object(line, line_of(name, number)))


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=partial(_unique, where=where))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"it is no JSON ({error})", "Write one object a line.", where=where) from error
    if not isinstance(value, dict):
        raise RequestError(f"a request is a JSON object, not {type(value).__name__}", where=where)
    return value


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RequestError(f'"{key:.60}" is there twice', "Leave one out.", where=where)
        found[key] = value
    return found


def _read_table(lines: list[str], name: str) -> Iterator[FileLine]:
    # io.StringIO leaves line ends within quotes to csv, which counts them.
    delimiter = max(DELIMITERS, key=next((line for line in lines if line.strip()), "").count)
    rows = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            where = line_of(name, rows.line_num)
            if columns is None:
                columns = _columns(cells, where)
            else:
                yield _row(columns, row, rows.line_num, where)
    except csv.Error as error:
        raise RequestError(f"it is no CSV ({error})", where=line_of(name, rows.line_num)) from error


def _columns(cells: list[str], where: str) -> list[str]:
    """The fields of a table's columns."""
    try:
        columns = [field_name(cell) for cell in cells]
    except RequestError as error:
        raise located(error, where) from error
    for column in columns:
        if columns.count(column) > 1:
            raise RequestError("there are two such columns", "Leave one out.", where=f"{where}: {column}")
    if "prompt" not in columns:
        raise RequestError("there is no such column", "Name a column prompt.", where=f"{where}: prompt")
    return columns


def _row(columns: list[str], row: list[str], number: int, where: str) -> FileLine:
    if any(cell.strip() for cell in row[len(columns) :]):
        raise RequestError(
            f"{len(row)} cells are more than the {len(columns)} columns",
            "Put quotation marks around cells that have a comma.",
            where=where,
        )
    given = {column: cell for column, cell in zip(columns, row, strict=False) if cell.strip()}
    return FileLine(number, given, cells=True)


def located(error: GessoError, where: str) -> RequestError:
    """The same error, told of a place: a line of a file, or an axis of a grid."""
    place = f"{where}: {error.where}" if error.where else where
    return RequestError(error.problem, error.advice, where=place)


FORMS: dict[str, Callable[[list[str], str], Iterator[FileLine]]] = {
    "txt": _read_prompts,
    "jsonl": _read_objects,
    "csv": _read_table,
}
