"""The ``gesso`` program: finds the command, and turns every ending into an exit status.

0 done, 1 a GessoError (one clear line), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from gesso import __version__
from gesso.errors import GessoError

COMMANDS = ("generate", "inspect", "convert", "models", "samplers", "train")


class Program(click.Group):
    """A group whose commands are imported when they are asked for, and whose default is ``generate``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"gesso.cli.{cmd_name}"), cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``gesso "a prompt" …`` as ``gesso generate "a prompt" …``."""
        own = {"-h", "--help", "--version", "--debug"}
        first = next((arg for arg in args if arg != "--debug"), None)
        if first is not None and first not in own and first not in COMMANDS:
            args = [
                *(arg for arg in args if arg == "--debug"),
                "generate",
                *(a for a in args if a != "--debug"),
            ]
        return super().parse_args(ctx, args)


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
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """The exit status of one invocation; messages go to stderr."""
    try:
        program.main(args=arguments or ["--help"], prog_name="gesso", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except GessoError as error:
        if "--debug" in arguments:
            raise
        click.echo(f"gesso: {error}", err=True)
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("gesso: interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say, also at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
