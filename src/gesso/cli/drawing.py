"""Drawing a request to files, as the commands do it: batch by batch, under a progress bar."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.onlookers import NOBODY, Batch, Onlookers

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
        beside: what was written beside it, by what it is.
    """

    index: int
    seed: int
    path: Path
    image: Image
    beside: Mapping[str, Path] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        beside = {name: str(path) for name, path in self.beside.items()}
        return {"path": str(self.path), "seed": self.seed, **beside}


def load_pipeline(model: str | None, **options: Any) -> Pipeline:
    """The model of `gesso.cli.options.model_options`."""
    from gesso.pipeline.load import BUILT_IN, load

    return load(BUILT_IN if model is None else model, **options)


def named_folder(output: str, advice: str) -> Path:
    """The folder that ``--output`` names, where it cannot be a file.

    Raises:
        OutputError: it is no folder's name.
    """
    from gesso.errors import OutputError

    if not output or "\0" in output or output.lower().endswith(".png"):
        raise OutputError(f"{output!r} is no folder", advice)
    return Path(output)


def draw(
    pipeline: Pipeline,
    request: ResolvedRequest,
    pattern: OutputPattern,
    bar: tqdm[Any],
    *,
    echo_paths: bool,
    present: Collection[int] = (),
    onlookers: Onlookers = NOBODY,
) -> Iterator[Drawn]:
    """Draw and write the pictures of a request; each is there as soon as its batch is done.

    Args:
        echo_paths: print the path of each.
        present: indices of pictures that are there already. A batch of nothing else is not drawn.
        onlookers: who look on; what they write is printed after each picture.
    """
    from gesso.pipeline.metadata import png_info
    from gesso.pipeline.pipeline import last_step

    for indices, batch in missing_batches(request, present):
        recorder = onlookers.begin(Batch(pipeline, batch, indices, bar.update))
        last = last_step(watched(onlookers.follow(pipeline.stream(batch, heatmaps=recorder)), bar))
        images = pipeline.finish(last.latents, batch)
        onlookers.finished(images)
        for place, (index, image) in enumerate(zip(indices, images, strict=True)):
            if index in present:
                continue
            path = pattern.save(image, request, index, png_info(request, pipeline.name, index))
            beside = onlookers.written(place, image, path)
            if echo_paths:
                with bar.external_write_mode():
                    click.echo("\n".join(map(str, (path, *beside.values()))))
            yield Drawn(index, request.seed_of(index), path, image, beside)


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
