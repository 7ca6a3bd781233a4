"""``gesso train``: teach a model."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gesso.training.trainer import Stage


Command = TypeVar("Command", bound=Callable[..., Any])


def run_options(folder: str, result: str) -> Callable[[Command], Command]:
    """Where a training keeps what it needs to be resumed, and its result; and where it computes."""
    output = click.option(
        "--output",
        "-o",
        type=click.Path(path_type=Path),
        default=Path(folder),
        show_default=True,
        metavar="FOLDER",
        help=f"Keeps the state to resume from, the losses, and at the end {result}.",
    )
    device = click.option(
        "--device", default="auto", metavar="cpu|cuda|mps|auto", help="Where to train.  [default: auto]"
    )
    return lambda command: output(device(command))


@click.group()
def train() -> None:
    """Train a model."""


@train.command()
@run_options("runs/storybook", "the model in model/")
@click.option(
    "--preset",
    type=click.Choice(["cpu", "gpu"]),
    help="What is trained, and how long; by the device if left out.",
)
@click.option(
    "--start-from",
    metavar="MODEL",
    help="Go on from this model's weights; its autoencoder and vocabulary are kept.",
)
@click.option("--seed", type=int, metavar="S", help="Of all that is random; other scenes and other noise.")
@click.option("--autoencoder-steps", type=click.IntRange(1), metavar="N", help="Instead of the preset's.")
@click.option("--reading-steps", type=click.IntRange(1), metavar="N", help="Instead of the preset's.")
@click.option("--denoiser-steps", type=click.IntRange(1), metavar="N", help="Instead of the preset's.")
def storybook(
    output: Path, device: str, preset: Any, start_from: str | None, seed: int | None, **steps: int | None
) -> None:
    """Train the built-in model from nothing: its vocabulary, autoencoder, text encoder and UNet.

    Every picture it learns from is drawn on the spot. Interrupt it whenever you like: the same command
    goes on where it was, with the same losses. The preset "gpu" is the built-in model's recipe, and takes
    about eleven minutes on an H200. "cpu" teaches the same networks a smaller world, in about six hours
    on two cores. (Both are estimates: sums of what the stages took.)

    \b
    gesso train storybook --output runs/mine
    gesso "a red house at night" --model runs/mine/model
    gesso train storybook --start-from storybook --seed 1 --output runs/longer
    """
    from gesso.engine.device import choose_device
    from gesso.training.presets import PRESETS
    from gesso.training.storybook import StorybookRun
    from gesso.weights.checkpoint import open_checkpoint

    chosen = choose_device(device)
    counts = {option.removesuffix("_steps"): count for option, count in steps.items() if count}
    recipes = PRESETS[preset or ("gpu" if chosen.type == "cuda" else "cpu")].changed(counts, seed)
    run = StorybookRun(output, recipes, chosen, open_checkpoint(start_from) if start_from else None)
    for stage in run.stages():
        follow(stage)
    click.echo(str(run.export()))


@train.command()
@run_options("runs/probe", "probe.safetensors")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Instead of the recipe's.")
@click.option(
    "--world",
    default="medium",
    show_default=True,
    metavar="small|medium|whole",
    help="What it is to read: the world that the model to be scored was taught.",
)
@click.option(
    "--model", "-m", metavar="MODEL", help="Train on this model's autoencoder's pictures as well."
)
def probe(output: Path, device: str, steps: int | None, world: str, model: str | None) -> None:
    """Train the small network that reads pictures for `gesso storybook score`.

    It learns from renderings, sharp and blemished, and measures at the end how much it reads rightly.
    Interrupt it whenever you like: the same command goes on where it was.

    \b
    gesso train probe --output runs/probe
    gesso storybook score --probe runs/probe/probe.safetensors
    """
    from gesso.engine.device import choose_device
    from gesso.pipeline.load import load
    from gesso.storybook.world import find_world
    from gesso.training.probe import ProbeRun

    blurring: dict[str, Any] = {}
    if model:
        pipeline = load(model, device=device, dtype="float32", engine="plain")
        blurring = {"autoencoder": pipeline.autoencoder, "autoencoder_size": pipeline.config.image_size}
    run = ProbeRun(output, choose_device(device), world=find_world(world), steps=steps, **blurring)
    follow(run.trainer)
    click.echo(str(run.export()))


def follow(stage: Stage) -> None:
    """Run one stage to its end behind a progress bar; leave between two steps on an interrupt."""
    from gesso.cli.progress import progress_bar

    average = None
    with (
        progress_bar(stage.steps, stage.name) as bar,
        interruptible() as interrupted,
        closing(stage.run()) as steps,
    ):
        bar.update(stage.step)
        for step in steps:
            if not isinstance(step, int):
                average = step.loss if average is None else 0.98 * average + 0.02 * step.loss
                bar.set_postfix_str(f"loss {average:.4f}", refresh=False)
            bar.update()
            if interrupted:
                raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect interrupts in a list instead of raising them in the middle of a step."""
    signals: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: signals.append(number))
    try:
        yield signals
    finally:
        signal.signal(signal.SIGINT, before)
