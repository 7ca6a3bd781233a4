"""What is said to the person at the keyboard: always one line, and always on stderr."""

from __future__ import annotations

import click


def say(text: str) -> None:
    """Print one line. Whatever does not print, such as line ends and terminal codes, is escaped.

    Texts quote file names, options and what pictures say of themselves, so they may hold anything.
    """
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    click.echo(f"gesso: {line}", err=True)
