"""``--steps-gif``: the film of each picture's denoising."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gesso.cli.onlookers import Batch, Onlooker

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from gesso.pipeline.output import OutputPattern
    from gesso.pipeline.preview import DrawingStep
    from gesso.pipeline.request import ResolvedRequest


class FilmFiles(Onlooker):
    """Keeps what the steps estimated, which is little, and decodes it when the picture is written.

    Args:
        pattern: the films' names.
        decoder: the file of a tiny decoder; None decodes as the picture is.
    """

    def __init__(self, pattern: OutputPattern, decoder: Path | None) -> None:
        self.pattern = pattern
        self.decoder = decoder
        self.decode: Callable[[Tensor], list[Image]] | None = None
        self.kept: list[Tensor] = []

    def check(self, request: ResolvedRequest) -> None:
        self.pattern.check_writable(request)

    def steps(self, request: ResolvedRequest) -> int:
        from gesso.pipeline.film import chosen_steps

        return request.count * len(chosen_steps(request.walked_steps + request.second_steps))

    def begin(self, batch: Batch) -> None:
        from gesso.pipeline.film import chosen_steps

        self.batch = batch
        request, pipeline = batch.request, batch.pipeline
        self.chosen = set(chosen_steps(request.walked_steps + request.second_steps))
        self.kept, self.done = [], 0
        if self.decoder is None:
            self.decode = lambda latents: pipeline.finish(latents, request)
        elif self.decode is None:
            self.decode = pipeline.previewer(self.decoder)

    def step(self, step: DrawingStep) -> None:
        if self.done in self.chosen:
            self.kept.append(step.denoised)
        self.done += 1

    def written(self, place: int, image: Image, path: Path) -> dict[str, Path]:
        from gesso.pipeline.film import film
        from gesso.pipeline.output import write_new_file

        assert self.decode is not None
        frames: list[Image] = []
        for latents in self.kept:
            frames += self.decode(latents[place : place + 1])
            self.batch.advance()
        path = self.pattern.path(self.batch.request.seed_of(place), self.batch.indices[place])
        write_new_file(path, film([*frames, image], path.suffix.lower()))
        return {"film": path}
