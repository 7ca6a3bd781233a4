"""Options that are fields of `gesso.pipeline.request.GenerationRequest`, but for the prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gesso.cli.image_options import image_options
from gesso.cli.options import prompt_options, sampling_options
from gesso.cli.reproduction_options import reproduction_options

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option("--negative-prompt", "-n", metavar="TEXT", help="What the picture should not show."),
    click.option("--steps", type=int, metavar="N", help="Denoising steps, 1 to 1000.  [default: 20]"),
    click.option(
        "--guidance-scale",
        "-g",
        type=float,
        metavar="G",
        help="How closely to follow the prompt; 1 is no guidance.  [default: the model's]",
    ),
    click.option(
        "--sampler",
        metavar="NAME",
        help="See `gesso samplers`; AUTOMATIC1111's labels too.  [default: the model's]",
    ),
    click.option("--schedule", metavar="NAME", help="How the steps are spaced.  [default: the sampler's]"),
    click.option(
        "--seed", "-s", type=int, metavar="S", help="Of the first picture.  [default: drawn at random]"
    ),
    click.option(
        "--width", "-W", type=int, metavar="PIXELS", help="A multiple of 8.  [default: the model's]"
    ),
    click.option(
        "--height", "-H", type=int, metavar="PIXELS", help="A multiple of 8.  [default: the model's]"
    ),
    click.option(
        "--clip-skip",
        type=int,
        metavar="N",
        help="Read the N-th last layer of the text encoder.  [default: 1]",
    ),
    click.option(
        "--deep-cache",
        type=int,
        metavar="N",
        help="Compute the deep layers at every N-th step only: faster, another picture.  [default: 1]",
    ),
    click.option(
        "--token-merging",
        type=float,
        metavar="RATIO",
        help="Merge this share of similar pixels before the largest attentions, up to 0.75: faster, "
        "another picture.  [default: 0]",
    ),
)


COUNT_OPTIONS = (
    click.option(
        "--count", "-c", type=int, metavar="N", help="How many pictures, seeds S, S+1, …  [default: 1]"
    ),
    click.option(
        "--batch-size", "-b", type=int, metavar="N", help="How many to draw at once.  [default: 1]"
    ),
)


def request_options(command: Command) -> Command:
    """All of them; None is what the command line leaves open."""
    command = picture_options(command)
    for option in reversed(COUNT_OPTIONS):
        command = option(command)
    return command


def picture_options(command: Command) -> Command:
    """Those of a single picture."""
    groups = prompt_options, sampling_options, image_options, reproduction_options
    for option in reversed((*OPTIONS, *groups)):
        command = option(command)
    return command
