"""``gesso bench``: how fast a model draws on this machine."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.inspect import Size
from gesso.cli.options import model_options

if TYPE_CHECKING:
    from gesso.pipeline.pipeline import Pipeline
    from gesso.pipeline.request import ResolvedRequest
    from gesso.pipeline.stopwatch import PictureTimes

PROMPT, SEED = "a red house beside a pine tree, at night", 7


@click.command(short_help="Measure how fast a model draws here.")
@model_options
@click.option("--size", type=Size(), help="Size of the picture; the model's own if left out.")
@click.option(
    "--steps",
    type=click.IntRange(2, 1000),
    default=20,
    show_default=True,
    metavar="N",
    help="Denoising steps a picture.",
)
@click.option(
    "--runs", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Pictures to time."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
def bench(
    model: str | None,
    ema: bool,
    device: str,
    dtype: str,
    engine: str,
    low_memory: bool,
    size: tuple[int, int] | None,
    steps: int,
    runs: int,
    as_json: bool,
) -> None:
    """Time a model's steps and pictures on this machine, and keep nothing.

    \b
    gesso bench                                              the built-in model, in seconds
    gesso bench --model v1-5-pruned-emaonly.safetensors --steps 5
    gesso bench --model sd15/ --engine plain                 without the optimisations

    A first picture of two steps readies everything and is not counted. A step is one of the sampler
    dpmpp_2m under the model's own guidance. Its share of the machine's peak counts the arithmetic of the
    networks as they are written: optimisations that need less of it may pass 100 %.
    """
    from dataclasses import replace

    from gesso.pipeline.load import BUILT_IN, load
    from gesso.pipeline.request import GenerationRequest

    width, height = size or (None, None)
    fixed = GenerationRequest(PROMPT, sampler="dpmpp_2m", seed=SEED)
    wanted = replace(fixed, steps=steps, width=width, height=height)
    started = time.perf_counter()
    source = BUILT_IN if model is None else model
    pipeline = load(source, device=device, dtype=dtype, engine=engine, ema=ema, low_memory=low_memory)
    load_seconds = time.perf_counter() - started
    request = wanted.resolve(pipeline.config)
    readying, pictures = draw(pipeline, replace(request, steps=2), request, runs)
    report = {
        **surroundings(pipeline, request),
        "load_seconds": load_seconds,
        "first_picture_seconds": readying.total,
        **speed(pictures),
        **arithmetic(pipeline, request, median(each for p in pictures for each in p.steps)),
        "peak_memory": most_memory(pipeline),
        "optimisations": optimisations(pipeline, engine, low_memory=low_memory),
    }
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else in_words(report))


def draw(
    pipeline: Pipeline, first: ResolvedRequest, request: ResolvedRequest, runs: int
) -> tuple[PictureTimes, list[PictureTimes]]:
    """The times of a first picture, and those of the pictures that count."""
    from gesso.cli.progress import progress_bar
    from gesso.pipeline.stopwatch import time_picture

    with progress_bar(1 + runs, pipeline.name, "picture") as bar:
        readying = time_picture(pipeline, first)
        bar.update()
        pictures: list[PictureTimes] = []
        for _ in range(runs):
            pictures.append(time_picture(pipeline, request))
            bar.update()
    return readying, pictures


def surroundings(pipeline: Pipeline, request: ResolvedRequest) -> dict[str, Any]:
    """What was measured, and where."""
    import torch

    from gesso.engine.measure import processor

    on_gpu = pipeline.device.type == "cuda"
    return {
        "model": pipeline.name,
        "width": request.width,
        "height": request.height,
        "steps": request.steps,
        "device": str(pipeline.device),
        "machine": torch.cuda.get_device_name(pipeline.device) if on_gpu else processor(),
        "threads": torch.get_num_threads(),
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }


def speed(pictures: list[PictureTimes]) -> dict[str, Any]:
    """Seconds, and how many a second; medians."""
    steps = [seconds for picture in pictures for seconds in picture.steps]
    picture = median(picture.total for picture in pictures)
    return {
        "step_seconds": median(steps),
        "fastest_step_seconds": min(steps),
        "slowest_step_seconds": max(steps),
        "steps_per_second": 1 / median(steps),
        "decode_seconds": median(picture.decode for picture in pictures),
        "picture_seconds": picture,
        "pictures_per_second": 1 / picture,
    }


def arithmetic(pipeline: Pipeline, request: ResolvedRequest, step_seconds: float) -> dict[str, Any]:
    """The machine's peak, and how near a step comes to it: floating-point operations a second."""
    from gesso.anatomy.dissect import dissect
    from gesso.engine.measure import matrix_product_peak

    samples = 1 if request.guidance_scale == 1 else 2
    macs = dissect(pipeline.config, request.width, request.height).unet.macs.total
    operations = 2 * samples * macs
    peak = matrix_product_peak(pipeline.device, pipeline.dtype)
    return {
        "step_operations": operations,
        "matrix_product_peak": peak,
        "share_of_peak": operations / step_seconds / peak,
    }


def most_memory(pipeline: Pipeline) -> int | None:
    """Bytes, of the device that draws."""
    import torch

    from gesso.engine.measure import peak_memory

    return (
        torch.cuda.max_memory_allocated(pipeline.device)
        if pipeline.device.type == "cuda"
        else peak_memory()
    )


def optimisations(pipeline: Pipeline, engine: str, *, low_memory: bool = False) -> list[dict[str, Any]]:
    """Every optimisation for the device, and whether it was on."""
    from gesso.engine.engine import choose_engine
    from gesso.engine.optimisations import OPTIMISATIONS

    chosen = choose_engine(engine, pipeline.unet, pipeline.device, pipeline.dtype, low_memory=low_memory)
    return [
        {"name": name, "on": name in chosen, "summary": each.summary}
        for name, each in OPTIMISATIONS.items()
        if pipeline.device.type in each.devices
    ]


def in_words(report: dict[str, Any]) -> str:
    """The report for people."""
    from gesso.cli.table import table

    r = report
    threads = f", {r['threads']} threads" if r["device"] == "cpu" else ""
    head = (
        f"{r['model']}, {r['width']} × {r['height']}, {r['steps']} steps, {r['dtype']}\n"
        f"{r['device']}: {r['machine']}{threads}, torch {r['torch']}"
    )
    spread = f"{r['fastest_step_seconds']:.3f} to {r['slowest_step_seconds']:.3f} s"
    memory = "unknown" if r["peak_memory"] is None else f"{r['peak_memory'] / 2**30:.2f} GiB"
    measured = [
        ("load", f"{r['load_seconds']:.2f} s", ""),
        ("first picture", f"{r['first_picture_seconds']:.2f} s", "two steps, readies everything"),
        ("step", f"{r['step_seconds']:.3f} s", f"{r['steps_per_second']:.2f} it/s; {spread}"),
        ("decode", f"{r['decode_seconds']:.3f} s", ""),
        ("picture", f"{r['picture_seconds']:.2f} s", f"{r['pictures_per_second']:.3g} pictures/s"),
        ("most memory", memory, ""),
        (
            "machine's peak",
            f"{r['matrix_product_peak'] / 1e9:,.0f} GFLOP/s",
            f"in a matrix product; a step reaches {r['share_of_peak']:.0%} of it",
        ),
    ]
    rows = [(each["name"], "on" if each["on"] else "off", each["summary"]) for each in r["optimisations"]]
    return "\n\n".join(
        (head, table(measured[0], measured[1:]), table(("optimisation", "", "what it does"), rows))
    )
