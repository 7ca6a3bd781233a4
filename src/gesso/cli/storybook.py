"""``gesso storybook``: the built-in model's world, and how well a model draws it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.options import model_options

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from gesso.pipeline.pipeline import Pipeline
    from gesso.pipeline.request import GenerationRequest
    from gesso.storybook.score import Draw
    from gesso.storybook.world import World

PSNR_SCENES = 32

TAUGHT = "medium"
"""The world that the built-in model was taught."""


@click.group(short_help="Look at the built-in model's world, and score a model in it.")
def storybook() -> None:
    """The world that the built-in model was taught, and how well a model draws it."""


@storybook.command(short_help="Draw scenes of the world, without a model.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("storybook.png"),
    show_default=True,
    metavar="FILE",
    help="The sheet of pictures; it must not exist.",
)
@click.option("--count", type=click.IntRange(1, 1024), default=12, show_default=True, metavar="N")
@click.option("--size", type=click.IntRange(16, 1024), default=128, show_default=True, metavar="PIXELS")
@click.option("--seed", type=int, default=0, show_default=True, metavar="S")
@click.option("--world", default="whole", show_default=True, metavar="small|medium|whole")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option("--unseen", is_flag=True, help="Only combinations that training never shows.")
def render(output: Path, count: int, size: int, seed: int, world: str, language: Any, unseen: bool) -> None:
    """Make scenes up, draw them on one sheet, and tell their captions on stderr."""
    import random

    from gesso.cli.message import say
    from gesso.pipeline.images import to_pil
    from gesso.storybook.captions import caption
    from gesso.storybook.compose import sample_scene
    from gesso.storybook.render import render as render_scenes
    from gesso.storybook.world import find_world
    from gesso.weights.atomic import new_file, refuse_existing

    refuse_existing(output)
    level, rng = find_world(world), random.Random(seed)
    scenes = [sample_scene(rng, level, held_out=unseen) for _ in range(count)]
    pictures = [to_pil(image[None])[0] for image in render_scenes(scenes, size)]
    for number, scene in enumerate(scenes, 1):
        say(f"{number}: {caption(scene, rng, language=language)}")
    with new_file(output) as path:
        sheet(pictures, columns=min(6, count)).save(path, format="PNG")
    click.echo(str(output))


def sheet(pictures: Sequence[Image], columns: int, gap: int = 4) -> Image:
    """Square pictures of one size in rows on white."""
    from PIL import Image as Pictures

    side = pictures[0].width + gap
    rows = -(-len(pictures) // columns)
    page = Pictures.new("RGB", (columns * side - gap, rows * side - gap), "white")
    for number, picture in enumerate(pictures):
        page.paste(picture, (number % columns * side, number // columns * side))
    return page


@storybook.command(short_help="Measure how well a model draws what it is asked for.")
@model_options
@click.option(
    "--count", type=click.IntRange(4), default=64, show_default=True, metavar="N", help="Prompts."
)
@click.option(
    "--world",
    default=TAUGHT,
    show_default=True,
    metavar="small|medium|whole",
    help="Of the prompts; the default is what the built-in model was taught.",
)
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="Of the prompts; the model must have been taught it.",
)
@click.option("--steps", type=int, metavar="N", help="Denoising steps a picture.  [default: 20]")
@click.option("--guidance-scale", type=float, metavar="G", help="[default: the model's]")
@click.option("--sampler", metavar="NAME", help="Any of `gesso samplers`.  [default: the model's]")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    metavar="N",
    help="Pictures drawn at once; fewer take less memory and more time.",
)
@click.option(
    "--probe",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What `gesso train probe` made, instead of the built-in one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def score(
    model: str | None,
    ema: bool,
    device: str,
    dtype: str,
    engine: str,
    low_memory: bool,
    count: int,
    world: str,
    language: Any,
    steps: int | None,
    guidance_scale: float | None,
    sampler: str | None,
    batch_size: int,
    probe: Path | None,
    as_json: bool,
) -> None:
    """Draw fixed prompts, half of them combinations that training never showed, and read the pictures.

    \b
    gesso storybook score                               the built-in model
    gesso storybook score --model runs/mine/model --count 256
    gesso storybook score --steps 10 --guidance-scale 2 --sampler euler

    A small network reads what is in each picture. Beside the share that is right stand the ceiling, which
    is what it reads off renderings of the same prompts, and chance, which is what the pictures of other
    prompts get. "color" asks for the right kind in the right colour, "whole" for everything at once, and
    "all attributes" is the share of attributes that are right, all prompts' taken together.
    """
    from gesso.cli.score_table import in_words
    from gesso.pipeline.load import BUILT_IN, load
    from gesso.pipeline.request import GenerationRequest
    from gesso.storybook.probe import PROBE_FILE, load_probe
    from gesso.storybook.score import SEEDS, VARIED, Examiner, fixed_prompts
    from gesso.storybook.world import find_world

    level = find_world(world)
    prompts = fixed_prompts(count, level, language=language)
    given = {"steps": steps, "guidance_scale": guidance_scale, "sampler": sampler}
    fields = {name: value for name, value in given.items() if value is not None}
    request = GenerationRequest(prompts[0].text, **fields)
    network, accuracy = load_probe(probe or PROBE_FILE, level.name)
    source = BUILT_IN if model is None else model
    pipeline = load(source, device=device, dtype=dtype, engine=engine, ema=ema, low_memory=low_memory)
    request = request.resolve(pipeline.config)
    examiner = Examiner(network, accuracy, pipeline.config.image_size, level)
    drawings = count + min(count, VARIED) * (SEEDS - 1)
    with drawer(pipeline, request, drawings, batch_size) as draw:
        result = examiner.examine(prompts, draw, psnr_of(pipeline, level))
    drawn_with = {name: getattr(request, name) for name in given}
    if as_json:
        click.echo(json.dumps({"model": pipeline.name, "world": world, **drawn_with, **result.as_json()}))
    else:
        settings = f"{request.sampler}, {request.steps} steps, guidance {request.guidance_scale:g}"
        click.echo(in_words(result, f"{pipeline.name}, {settings}: {count} prompts, {world} world"))


@contextmanager
def drawer(
    pipeline: Pipeline, request: GenerationRequest, drawings: int, batch_size: int
) -> Iterator[Draw]:
    """A function from prompts and the first one's seed to pictures, behind a progress bar.

    Args:
        request: what else the pictures are drawn with.
        drawings: how many there will be.
        batch_size: how many are drawn at once.
    """
    from gesso.cli.progress import progress_bar

    with progress_bar(drawings, pipeline.name, "picture") as bar:

        def draw(prompts: Sequence[str], seed: int) -> Tensor:
            import torch

            from gesso.pipeline.images import from_pil
            from gesso.pipeline.medley import draw_medley

            images: list[Tensor] = []
            for start in range(0, len(prompts), batch_size):
                part = prompts[start : start + batch_size]
                pictures = draw_medley(pipeline, part, replace(request, seed=seed + start))
                images += map(from_pil, pictures)
                bar.update(len(part))
            return torch.cat(images)

        yield draw


def psnr_of(pipeline: Pipeline, world: World) -> float:
    """Peak signal-to-noise ratio of renderings that the autoencoder encoded and decoded, in dB."""
    import math
    import random
    from statistics import fmean

    import torch

    from gesso.pipeline.images import from_pil
    from gesso.storybook.compose import sample_scene
    from gesso.storybook.render import render

    rng = random.Random("psnr")
    scenes = [sample_scene(rng, world, held_out=None) for _ in range(PSNR_SCENES)]
    side = pipeline.config.unet.sample_size
    mean = torch.zeros(1, pipeline.config.autoencoder.latent_channels, side, side, device=pipeline.device)
    errors = []
    for image in render(scenes, pipeline.config.image_size).split(1):
        with torch.inference_mode():
            latents = pipeline.encode(image, mean)
        decoded = from_pil(pipeline.decode(latents)[0])
        errors.append(float((decoded - image).square().mean()))
    return 10 * math.log10(4 / fmean(errors))
