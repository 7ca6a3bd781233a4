"""``--steps-gif``: the film of each picture's denoising."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gesso.cli.onlookers import Batch, Onlooker

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from gesso.pipeline.output import OutputPattern
    from gesso.pipeline.preview import DrawingStep, Previewer
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
        self.previewer: Previewer | None = None
        self.kept: list[Tensor] = []

    def check(self, request: ResolvedRequest) -> None:
        self.pattern.check_writable(request)

    def steps(self, request: ResolvedRequest) -> int:
        from gesso.pipeline.film import chosen_steps

        return request.count * len(chosen_steps(request.walked_steps + request.second_steps))

    def begin(self, batch: Batch) -> None:
        from gesso.pipeline.film import chosen_steps

        self.batch = batch
        self.chosen = set(chosen_steps(batch.request.walked_steps + batch.request.second_steps))
        self.kept, self.done = [], 0
        if self.decoder is not None and self.previewer is None:
            self.previewer = batch.pipeline.previewer(self.decoder)

    def step(self, step: DrawingStep) -> None:
        if self.done in self.chosen:
            self.kept.append(step.denoised)
        self.done += 1

    def written(self, place: int, image: Image, path: Path) -> dict[str, Path]:
        from gesso.pipeline.film import film
        from gesso.pipeline.output import write_new_file

        frames: list[Image] = []
        for latents in self.kept:
            frames += self.decode(latents[place : place + 1])
            self.batch.advance()
        path = self.pattern.path(self.batch.request.seed_of(place), self.batch.indices[place])
        write_new_file(path, film([*frames, image], path.suffix.lower()))
        return {"film": path}

    def decode(self, latents: Tensor) -> list[Image]:
        """What the pictures would be if these were the finished latents."""
        if self.previewer is None:
            return self.batch.pipeline.finish(latents, self.batch.request)

        from gesso.pipeline.canvas import make_canvas

        drawn, canvas = self.previewer(latents), make_canvas(self.batch.request)
        return drawn if canvas is None else [canvas.finish(image) for image in drawn]
