"""Who else looks on while pictures are drawn: heatmaps, previews, films."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from gesso.pipeline.heatmaps import HeatmapRecorder
    from gesso.pipeline.pipeline import Pipeline
    from gesso.pipeline.preview import DrawingStep
    from gesso.pipeline.request import ResolvedRequest


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures that are drawn together.

    Attributes:
        request: of these alone.
        indices: of them in the request they are part of.
        advance: called after each of what `Onlooker.steps` counts.
    """

    pipeline: Pipeline
    request: ResolvedRequest
    indices: range
    advance: Callable[[], object]


class Onlooker:
    """Sees batches being drawn, one after the other. One that does not care leaves a method as it is."""

    def check(self, _request: ResolvedRequest, /) -> None:
        """Find out before drawing whether what is to be written can be."""

    def steps(self, _request: ResolvedRequest, /) -> int:
        """How much of a request's work, counted in steps of the bar, is the onlooker's own."""
        return 0

    def begin(self, _batch: Batch, /) -> HeatmapRecorder | None:
        """A batch is going to be drawn; whoever records heatmaps says with what."""

    def step(self, _step: DrawingStep, /) -> None:
        """One step is done."""

    def finished(self, _images: list[Image], /) -> None:
        """The batch is."""

    def written(self, _place: int, _image: Image, _path: Path, /) -> dict[str, Path]:
        """One of its pictures is a file; what is written beside it, by what it is.

        Args:
            _place: of the picture in its batch.
        """
        return {}

    def leave(self) -> None:
        """All is drawn, or nothing more will be."""


class Onlookers(Onlooker):
    """All of them, who leave at the end of a ``with`` block, however that ends."""

    def __init__(self, *everyone: Onlooker) -> None:
        self.everyone = everyone

    def check(self, request: ResolvedRequest) -> None:
        for each in self.everyone:
            each.check(request)

    def steps(self, request: ResolvedRequest) -> int:
        return sum(each.steps(request) for each in self.everyone)

    def begin(self, batch: Batch) -> HeatmapRecorder | None:
        recorders = [each.begin(batch) for each in self.everyone]
        return next((recorder for recorder in recorders if recorder is not None), None)

    def follow(self, steps: Iterator[DrawingStep]) -> Iterator[DrawingStep]:
        """The same steps, once everyone has seen them."""
        for step in steps:
            self.step(step)
            yield step

    def step(self, step: DrawingStep) -> None:
        for each in self.everyone:
            each.step(step)

    def finished(self, images: list[Image]) -> None:
        for each in self.everyone:
            each.finished(images)

    def written(self, place: int, image: Image, path: Path) -> dict[str, Path]:
        beside: dict[str, Path] = {}
        for each in self.everyone:
            beside |= each.written(place, image, path)
        return beside

    def leave(self) -> None:
        for each in self.everyone:
            each.leave()

    def __enter__(self) -> Onlookers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


NOBODY = Onlookers()
