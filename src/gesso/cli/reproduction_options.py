"""Options for drawing as other programs do: a whole profile, or single customs of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option(
        "--like",
        metavar="PROGRAM",
        help="Draw as a1111, forge, comfyui or diffusers does: noise, noise levels, weights and their "
        "defaults, and clip skip as it counts. The options below, and all others, change single ones.",
    ),
    click.option(
        "--noise-source",
        metavar="NAME",
        help="cpu, cuda (an NVIDIA GPU's, computed on the CPU) or cpu_then_cuda.  [default: cpu]",
    ),
    click.option(
        "--eta-seed-delta",
        type=int,
        metavar="N",
        help="Draw the noise of ancestral steps from seed + N: AUTOMATIC1111's ENSD.  [default: 0]",
    ),
    click.option(
        "--batch-index",
        type=int,
        metavar="N",
        help="Draw picture N, from 0, of a ComfyUI batch of this seed, and those after it.",
    ),
    click.option(
        "--sigma-rules",
        metavar="NAME",
        help="Whose noise levels: diffusers, a1111, forge or comfy.  [default: diffusers]",
    ),
    click.option(
        "--discard-penultimate/--keep-penultimate",
        default=None,
        help="Leave the last noise level but one out.  [default: as the rules have it]",
    ),
    click.option(
        "--image-rules",
        metavar="NAME",
        help="Whose steps from a picture: diffusers, a1111 or comfy.  [default: diffusers]",
    ),
    click.option(
        "--prompt-timing",
        metavar="steps|calls",
        help="What [from:to:when] counts: steps, or calls of the network from 0.  [default: steps]",
    ),
    click.option(
        "--pad-prompts/--no-pad-prompts",
        default=None,
        help="Fill the shorter of the two prompts up with empty chunks.  [default: pad]",
    ),
)


def reproduction_options(command: Command) -> Command:
    """Each is a field of `gesso.pipeline.request.GenerationRequest`, or fills in several."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
