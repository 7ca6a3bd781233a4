"""A file of requests, checked as a whole before any is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gesso.errors import BatchError, GessoError, RequestError
from gesso.pipeline.ledger import LedgerEntry, key_of
from gesso.pipeline.output import OutputPattern
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import GenerationRequest, ResolvedRequest
from gesso.pipeline.request_file import FileLine, line_of, located

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A line of a batch, as it is drawn.

    Attributes:
        where: the file and the line, for messages.
        pattern: the names of its pictures.
        present: indices of pictures that are there already.
    """

    line: FileLine
    where: str
    request: ResolvedRequest
    pattern: OutputPattern
    present: frozenset[int]

    @property
    def done(self) -> bool:
        return len(self.present) == self.request.count

    def paths(self) -> list[Path]:
        """Where its pictures are, or will be."""
        request = self.request
        return [self.pattern.path(request.seed_of(index), index) for index in range(request.count)]


@dataclass(frozen=True)
class Batch:
    """The requests of a file. They are made of its lines again whenever they are needed: the pictures that
    thousands of them start from would not fit into memory.

    Attributes:
        name: of the file, for messages.
        lines: what it says.
        defaults: fields of all requests that their lines leave out.
    """

    name: str
    lines: Sequence[FileLine]
    defaults: Mapping[str, Any]

    def check(self) -> None:
        """Read all requests, without a model.

        Raises:
            BatchError: some cannot be drawn.
        """
        self._each(lambda _request: None)

    def propose(self, pipeline: Pipeline, model: str) -> list[LedgerEntry]:
        """What a ledger is to note of each request, once the model has been asked whether it can draw them.

        Args:
            model: what tells the model from others.

        Raises:
            BatchError: some cannot be drawn.
        """

        def proposal(request: GenerationRequest) -> LedgerEntry:
            resolved = request.resolve(pipeline.config)
            pipeline.check(resolved)
            return LedgerEntry.propose(resolved, key_of(request, model))

        return self._each(proposal)

    def jobs(self, entries: Iterable[LedgerEntry], pipeline: Pipeline, folder: Path) -> Iterator[Job]:
        """What is drawn, in the order of the lines.

        Args:
            entries: what the ledger of the folder says of each line.
        """
        for line, entry in zip(self.lines, entries, strict=True):
            request = entry.settle(self._request(line)).resolve(pipeline.config)
            pattern = entry.pattern(folder, request)
            there = (pattern.path(request.seed_of(index), index).exists() for index in range(request.count))
            present = frozenset(index for index, exists in enumerate(there) if exists)
            yield Job(line, line_of(self.name, line.number), request, pattern, present)

    def _request(self, line: FileLine) -> GenerationRequest:
        return GenerationRequest.from_json(line.over(self.defaults))

    def _each(self, work: Callable[[GenerationRequest], T]) -> list[T]:
        """What ``work`` makes of each request; all are tried before any error is raised."""
        made: list[T] = []
        errors: list[RequestError] = []
        for line in self.lines:
            try:
                made.append(work(self._request(line)))
            except GessoError as error:
                errors.append(located(error, line_of(self.name, line.number)))
        if errors:
            raise BatchError(errors, where=self.name)
        return made
