"""Files and folders that appear whole or not at all, and never in the place of another."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gesso.errors import OutputError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the name of a temporary file beside ``path``; it becomes ``path`` when the block ends well.

    Raises:
        OutputError: ``path`` exists already, or cannot be written (no rights, full disk …).
    """
    temporary = beside(path)
    try:
        with refusing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            flush(temporary)
            give_name(temporary, path)
            flush_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` to fill; it becomes ``path`` when the block ends well.

    Raises:
        OutputError: as for ``new_file``.
    """
    temporary = beside(path)
    try:
        with refusing(path):
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    flush(file)
            refuse_existing(path)
            temporary.rename(path)
            flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def beside(path: Path) -> Path:
    """A name nobody uses, in the same folder and so on the same disk."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what the file system objects to into one clear error."""
    refuse_existing(path)
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space." if full else "Nothing was left behind."
        raise OutputError(
            f"cannot be written ({error.strerror or error})", advice, where=str(path)
        ) from error


def give_name(temporary: Path, path: Path) -> None:
    """Rename a file; unlike a plain rename, this fails if the name is taken, wherever links exist."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # such as on FAT
        refuse_existing(path)
        temporary.rename(path)


def refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise OutputError("exists already", "Choose another name, or remove it first.", where=str(path))


def flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Make a new name in a folder last; Windows does so by itself."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
