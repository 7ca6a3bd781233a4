"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def prompt_options(command: Command) -> Command:
    """How the prompts are read."""
    for option in reversed(
        (
            click.option(
                "--emphasis",
                metavar="NAME",
                help="How (words:1.2) weigh: a1111, no_norm, comfy, compel, ignore; none takes prompts "
                "literally, brackets and all.  [default: a1111]",
            ),
            click.option(
                "--comma-backtrack",
                type=int,
                metavar="N",
                help="Begin a long prompt's next 75 tokens after a comma among the last N.  [default: 0]",
            ),
        )
    ):
        command = option(command)
    return command


def sampling_options(command: Command) -> Command:
    """How the sampler walks, and where and how far it is guided."""
    for option in reversed(
        (
            click.option(
                "--eta",
                type=float,
                metavar="E",
                help="Share of fresh noise in each step, for samplers that take it.",
            ),
            click.option(
                "--s-churn", type=float, metavar="X", help="Noise to add on the way: euler, heun, dpm_2."
            ),
            click.option(
                "--s-tmin", type=float, metavar="SIGMA", help="Add it from this noise level.  [default: 0]"
            ),
            click.option(
                "--s-tmax", type=float, metavar="SIGMA", help="And up to this one.  [default: all]"
            ),
            click.option(
                "--s-noise", type=float, metavar="X", help="Deviation of fresh noise.  [default: 1]"
            ),
            click.option(
                "--guidance-rescale",
                type=float,
                metavar="X",
                help="Bring back the contrast that guidance raised, 0 to 1.  [default: 0]",
            ),
            click.option(
                "--guidance-interval",
                metavar="LOW,HIGH",
                help="Guide between these noise levels only: the other steps cost half, another picture.",
            ),
            click.option(
                "--pag-scale",
                type=float,
                metavar="X",
                help="Steer away from pictures without structure (perturbed-attention guidance), such as "
                "3; a step takes half as long again.  [default: 0]",
            ),
            click.option(
                "--pag-layers",
                metavar="NAME,…",
                help="Where structure is perturbed for it: mid, down.2, up.1, up.1.0, …  [default: mid]",
            ),
            click.option(
                "--sag-scale",
                type=float,
                metavar="X",
                help="Steer away from what is blurred where the network looks (self-attention guidance), "
                "such as 0.75; a step takes half as long again.  [default: 0]",
            ),
            click.option(
                "--freeu",
                metavar="B1,B2,S1,S2",
                help="More of the UNet's own work and less of its skips, in two blocks: 1.5,1.6,0.9,0.2.",
            ),
        )
    ):
        command = option(command)
    return command


MODEL_OPTIONS = ("model", "ema", "device", "dtype", "engine", "low_memory")


def model_options(command: Command) -> Command:
    """Which model, where it runs and in which precision."""
    for option in reversed(
        (
            click.option(
                "--model",
                "-m",
                metavar="MODEL",
                help="A Diffusers folder, a .safetensors or .ckpt file, a Hugging Face id, or storybook "
                "(built in, the default).",
            ),
            click.option("--ema", is_flag=True, help="Take the averaged weights of a file that has both."),
            click.option(
                "--device",
                default="auto",
                metavar="cpu|cuda|mps|auto",
                help="Where to run.  [default: auto]",
            ),
            click.option(
                "--dtype",
                default="auto",
                metavar="float32|float16|bfloat16|auto",
                help="Precision of the networks.  [default: auto, float16 on a GPU]",
            ),
            click.option(
                "--engine",
                default="auto",
                metavar="auto|plain|NAME,…",
                help="Optimisations: those that help, none, or those named.  [default: auto]",
            ),
            click.option(
                "--low-memory",
                is_flag=True,
                help="Leave the weights in their file and read each block's when it computes; slower.",
            ),
        )
    ):
        command = option(command)
    return command
