"""Drawing a request to files, as the commands do it: batch by batch, under a progress bar."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from PIL.Image import Image
    from tqdm import tqdm

    from gesso.diffusion.samplers import Step
    from gesso.pipeline.output import OutputPattern
    from gesso.pipeline.pipeline import Pipeline
    from gesso.pipeline.request import ResolvedRequest


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture that is written.

    Attributes:
        index: of the picture in its request, from 0.
    """

    index: int
    seed: int
    path: Path
    image: Image

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "seed": self.seed}


def load_pipeline(model: str | None, **options: Any) -> Pipeline:
    """The model of `gesso.cli.options.model_options`."""
    from gesso.pipeline.load import BUILT_IN, load

    return load(BUILT_IN if model is None else model, **options)


def draw(
    pipeline: Pipeline,
    request: ResolvedRequest,
    pattern: OutputPattern,
    bar: tqdm[Any],
    *,
    echo_paths: bool,
    present: Collection[int] = (),
) -> Iterator[Drawn]:
    """Draw and write the pictures of a request; each is there as soon as its batch is done.

    Args:
        echo_paths: print the path of each.
        present: indices of pictures that are there already. A batch of nothing else is not drawn.
    """
    from gesso.pipeline.metadata import png_info
    from gesso.pipeline.pipeline import last_step

    for indices, batch in missing_batches(request, present):
        last = last_step(watched(pipeline.stream(batch), bar))
        for index, image in zip(indices, pipeline.finish(last.latents, batch), strict=True):
            if index in present:
                continue
            path = pattern.save(image, request, index, png_info(request, pipeline.name, index))
            if echo_paths:
                with bar.external_write_mode():
                    click.echo(str(path))
            yield Drawn(index, request.seed_of(index), path, image)


def missing_batches(
    request: ResolvedRequest, present: Collection[int]
) -> Iterator[tuple[range, ResolvedRequest]]:
    """The batches of a request that are to be drawn, and which pictures of it each draws."""
    start = 0
    for batch in request.batches():
        indices = range(start, start + batch.count)
        start += batch.count
        if not all(index in present for index in indices):
            yield indices, batch


def count_steps(request: ResolvedRequest, present: Collection[int] = ()) -> int:
    """How many steps `draw` walks."""
    return (request.walked_steps + request.second_steps) * len(list(missing_batches(request, present)))


def watched(steps: Iterator[Step], bar: tqdm[Any]) -> Iterator[Step]:
    """The same steps, shown on a progress bar as they pass."""
    for step in steps:
        bar.set_postfix_str(f"σ {float(step.sigma):.2f}", refresh=False)
        bar.update()
        yield step
