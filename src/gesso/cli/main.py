"""The ``gesso`` program: finds the command, and turns every ending into an exit status.

0 done, 1 a GessoError (one clear line), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from gesso import __version__
from gesso.cli.message import say
from gesso.errors import GessoError

COMMANDS = (
    "generate",
    "batch",
    "grid",
    "upscale",
    "inspect",
    "convert",
    "models",
    "samplers",
    "bench",
    "train",
    "storybook",
)

COLLECTOR_THRESHOLDS = (100_000, 20, 100)
"""For `gc.set_threshold`. Torch alone makes hundreds of thousands of objects, which all stay: as often as
Python does by default, the collector would look through them several times before a picture is begun."""


class Program(click.Group):
    """A group whose commands are imported when they are asked for, and whose default is ``generate``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"gesso.cli.{cmd_name}"), cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``gesso "a prompt" …`` as ``gesso generate "a prompt" …``, and --debug in any place."""
        end = args.index("--") if "--" in args else len(args)
        debug = ["--debug"] if "--debug" in args[:end] else []
        args = [*(arg for arg in args[:end] if arg != "--debug"), *args[end:]]
        if args and args[0] not in (*COMMANDS, "-h", "--help", "--version"):
            args = ["generate", *args]
        return super().parse_args(ctx, [*debug, *args])


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="PROMPT | COMMAND [OPTIONS]…",
)
@click.version_option(__version__, prog_name="gesso", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def program(debug: bool) -> None:
    """Stable Diffusion 1.x: pictures from words.

    \b
    gesso "a red house beside a pine tree, at night"      draw with the built-in model
    gesso "a castle at dawn" --model v1-5.safetensors     draw with any SD 1.x checkpoint

    The first word may be a command; otherwise it is the prompt for `gesso generate`, whose options are
    listed by `gesso generate --help`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and leave with its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path is printed as the bytes it is
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    status = run(list(sys.argv[1:] if arguments is None else arguments))
    gc.freeze()  # nothing is left to collect: the system takes all memory back at once
    try:
        sys.stdout.flush()
    except OSError:  # it has been told; what cannot be written must not be tried again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """The exit status of one invocation; messages go to stderr.

    Raises:
        GessoError, OSError: only with ``--debug``.
        SystemExit: the reader of our output has gone; click says nothing then.
    """
    try:
        program.main(args=arguments or ["--help"], prog_name="gesso", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return 130
    except (GessoError, OSError) as error:
        if "--debug" in arguments:
            raise
        say(described(error))
        return 1
    return 0


def described(error: GessoError | OSError) -> str:
    """What went wrong, and where. An OSError that gets here is of no file of ours: stdout is full, say."""
    if isinstance(error, GessoError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
