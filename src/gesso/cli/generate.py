"""``gesso generate``: words to pictures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.drawing import count_steps, draw, load_pipeline
from gesso.cli.look_options import find_onlookers, look_options
from gesso.cli.message import say
from gesso.cli.options import model_options
from gesso.cli.request_options import request_options
from gesso.cli.unknown_words import UnknownWords
from gesso.errors import ImageError

if TYPE_CHECKING:
    from gesso.pipeline.metadata import ReadRequest
    from gesso.pipeline.request import GenerationRequest


@click.command(short_help="Draw a prompt (the default).")
@click.argument("prompt", required=False)
@request_options
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="PICTURE",
    help="Make a picture again from what it says of itself, also one of AUTOMATIC1111, Forge or plain "
    "ComfyUI; other options change it.",
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
@look_options
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
    heatmaps: bool,
    preview: str,
    preview_decoder: Path | None,
    steps_gif: str | None,
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
    gesso generate "a red house beside a pine tree" --heatmaps --preview --steps-gif house.webp
    gesso generate "a castle" --like a1111 --sampler "Euler a" --seed 7
    """
    from gesso.cli.progress import progress_bar
    from gesso.pipeline.output import OutputPattern

    started = time.perf_counter()
    request, found = read_fields(
        source, {name: value for name, value in fields.items() if value is not None}
    )
    pattern = OutputPattern(output)
    pattern.check_writable(request)  # before a model is loaded for nothing
    onlookers = find_onlookers(pattern, heatmaps, preview, preview_decoder, steps_gif)

    from gesso.pipeline.canvas import notes

    pipeline = load_pipeline(
        model, device=device, dtype=dtype, engine=engine, ema=ema, low_memory=low_memory
    )
    if found is not None and found.model not in (None, pipeline.name):
        hashed = f" ({found.model_hash})" if found.model_hash else ""
        say(f"{source} was drawn with {found.model}{hashed}; drawing with {pipeline.name}")
    resolved = request.resolve(pipeline.config)
    pattern.check_writable(resolved)
    onlookers.check(resolved)
    for note in notes(resolved):
        say(note)
    UnknownWords(pipeline).tell([resolved])
    steps = count_steps(resolved) + onlookers.steps(resolved)
    with progress_bar(steps, pipeline.name) as bar, onlookers:
        drawn = draw(pipeline, resolved, pattern, bar, echo_paths=not as_json, onlookers=onlookers)
        pictures = [each.to_json() for each in drawn]
    if as_json:
        seconds = round(time.perf_counter() - started, 3)
        report = {"pictures": pictures, "request": resolved.to_json(), "model": pipeline.name}
        if found is not None:
            report["from"] = {"model": found.model, "version": found.version, "unknown": found.unknown}
        click.echo(json.dumps({**report, "seconds": seconds}))


def read_fields(
    source: Path | None, fields: dict[str, Any]
) -> tuple[GenerationRequest, ReadRequest | None]:
    """The request of the options, over that of the picture given by ``--from``, and what that one says."""
    from gesso.pipeline.request import GenerationRequest

    if source is None:
        if "prompt" not in fields:
            raise click.UsageError('Give a PROMPT (it may be ""), or --from PICTURE.')
        return GenerationRequest.from_json(fields), None

    from gesso.pipeline.metadata import read_request

    found = read_request(source)
    if found.source != "gesso" and "strength" in found.fields and "image" not in fields:
        raise ImageError(
            "it was drawn over another picture, which it does not carry",
            "Give that one with --image.",
            where=str(source),
        )
    if found.like is not None:
        say(f"{source}: drawing it as {found.like} {found.version or ''}".rstrip() + " does")
    if found.unknown:
        left_out = ", ".join(f"{name}: {value}" for name, value in found.unknown.items())
        say(f"{source}: left out what gesso does not know: {shorten(left_out, 400)}")
    if "sampler" in fields:
        from gesso.diffusion.samplers import OPTIONS

        # The picture's schedule and options went with its sampler.
        fields = {**dict.fromkeys(("schedule", *OPTIONS)), **fields}
    return found.request(**fields), found
