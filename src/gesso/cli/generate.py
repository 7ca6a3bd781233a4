"""``gesso generate``: words to pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.image_options import image_options
from gesso.cli.message import say
from gesso.cli.options import model_options, prompt_options, sampling_options

if TYPE_CHECKING:
    from tqdm import tqdm

    from gesso.diffusion.samplers import Step
    from gesso.pipeline.output import OutputPattern
    from gesso.pipeline.pipeline import Pipeline
    from gesso.pipeline.request import GenerationRequest, ResolvedRequest


@click.command(short_help="Draw a prompt (the default).")
@click.argument("prompt", required=False)
@click.option("--negative-prompt", "-n", metavar="TEXT", help="What the picture should not show.")
@click.option("--steps", type=int, metavar="N", help="Denoising steps, 1 to 1000.  [default: 20]")
@click.option(
    "--guidance-scale",
    "-g",
    type=float,
    metavar="G",
    help="How closely to follow the prompt; 1 is no guidance.  [default: the model's]",
)
@click.option(
    "--sampler",
    metavar="NAME",
    help="See `gesso samplers`; AUTOMATIC1111's labels too.  [default: dpmpp_2m]",
)
@click.option("--schedule", metavar="NAME", help="How the steps are spaced.  [default: the sampler's]")
@click.option(
    "--seed", "-s", type=int, metavar="S", help="Of the first picture.  [default: drawn at random]"
)
@click.option(
    "--count", "-c", type=int, metavar="N", help="How many pictures, seeds S, S+1, …  [default: 1]"
)
@click.option("--batch-size", "-b", type=int, metavar="N", help="How many to draw at once.  [default: 1]")
@click.option("--width", "-W", type=int, metavar="PIXELS", help="A multiple of 8.  [default: the model's]")
@click.option("--height", "-H", type=int, metavar="PIXELS", help="A multiple of 8.  [default: the model's]")
@click.option(
    "--clip-skip", type=int, metavar="N", help="Read the N-th last layer of the text encoder.  [default: 1]"
)
@click.option(
    "--deep-cache",
    type=int,
    metavar="N",
    help="Compute the deep layers at every N-th step only: faster, another picture.  [default: 1]",
)
@prompt_options
@sampling_options
@image_options
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="PICTURE.png",
    help="Make a picture again from what it says of itself; other options change it.",
)
@model_options
@click.option(
    "--output",
    "-o",
    default="outputs/",
    metavar="PATH",
    help="A folder, or a file name in which {seed} and {index} are filled in; nothing is ever "
    "overwritten.  [default: outputs/]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the paths.")
def generate(
    source: Path | None,
    model: str | None,
    ema: bool,
    device: str,
    dtype: str,
    engine: str,
    low_memory: bool,
    output: str,
    as_json: bool,
    **fields: Any,
) -> None:
    """Draw PROMPT, and print the paths of the pictures.

    \b
    gesso generate "a red house beside a pine tree, at night" --seed 7
    gesso generate "a castle" --model v1-5-pruned-emaonly.safetensors --steps 30 --count 4
    gesso generate "a castle" --image sketch.png --strength 0.6
    gesso generate "a (red:1.3) house, [day:night:0.5]" --emphasis comfy
    gesso generate --from outputs/house.png --steps 50
    """
    from gesso.pipeline.output import OutputPattern

    started = time.perf_counter()
    request, drawn_with = read_fields(
        source, {name: value for name, value in fields.items() if value is not None}
    )
    pattern = OutputPattern(output)
    pattern.check_writable(request)  # before a model is loaded for nothing

    from gesso.pipeline.canvas import notes
    from gesso.pipeline.load import BUILT_IN, load

    pipeline = load(
        BUILT_IN if model is None else model,
        device=device,
        dtype=dtype,
        engine=engine,
        ema=ema,
        low_memory=low_memory,
    )
    if drawn_with not in (None, pipeline.name):
        say(f"{source} was drawn with {drawn_with}; drawing with {pipeline.name}")
    resolved = request.resolve(pipeline.config)
    pattern.check_writable(resolved)
    for note in notes(resolved):
        say(note)
    pictures = draw(pipeline, resolved, pattern, echo_paths=not as_json)
    if as_json:
        seconds = round(time.perf_counter() - started, 3)
        report = {"pictures": pictures, "request": resolved.to_json(), "model": pipeline.name}
        click.echo(json.dumps({**report, "seconds": seconds}))


def read_fields(source: Path | None, fields: dict[str, Any]) -> tuple[GenerationRequest, str | None]:
    """The request of the options, over that of the picture given by ``--from``, and that one's model."""
    from gesso.pipeline.request import GenerationRequest

    if source is None:
        if "prompt" not in fields:
            raise click.UsageError('Give a PROMPT (it may be ""), or --from PICTURE.png.')
        return GenerationRequest.from_json(fields), None

    from gesso.pipeline.metadata import read_request

    found = read_request(source)
    if found.unknown:
        say(f"{source}: left out what gesso does not know: {shorten(', '.join(found.unknown), 200)}")
    if "sampler" in fields:
        from gesso.diffusion.samplers import OPTIONS

        # The picture's schedule and options went with its sampler.
        fields = {**dict.fromkeys(("schedule", *OPTIONS)), **fields}
    return found.request(**fields), found.model


def draw(
    pipeline: Pipeline, request: ResolvedRequest, pattern: OutputPattern, *, echo_paths: bool
) -> list[dict[str, Any]]:
    """Draw and write all pictures of a request; each is written as soon as its batch is done."""
    from gesso.cli.progress import progress_bar
    from gesso.pipeline.metadata import png_info
    from gesso.pipeline.pipeline import last_step

    pictures: list[dict[str, Any]] = []
    batches = list(request.batches())
    steps = request.walked_steps + request.second_steps
    with progress_bar(steps * len(batches), pipeline.name) as bar:
        for batch in batches:
            last = last_step(watched(pipeline.stream(batch), bar))
            for image in pipeline.finish(last.latents, batch):
                index = len(pictures)
                info = png_info(request, pipeline.name, index)
                path = pattern.save(image, request, index, info)
                pictures.append({"path": str(path), "seed": request.seed_of(index)})
                if echo_paths:
                    with bar.external_write_mode():
                        click.echo(str(path))
    return pictures


def watched(steps: Iterator[Step], bar: tqdm[Any]) -> Iterator[Step]:
    """The same steps, shown on a progress bar as they pass."""
    for step in steps:
        bar.set_postfix_str(f"σ {float(step.sigma):.2f}", refresh=False)
        bar.update()
        yield step
