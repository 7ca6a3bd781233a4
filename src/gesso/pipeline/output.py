"""Where pictures are written: whole or not at all, and never over another file."""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

from gesso.errors import OutputError
from gesso.pipeline.request import GenerationRequest, ResolvedRequest

FIELDS = ("seed", "index")
_NUMBERED = re.compile(r"(\d{5,6})-\d+\.png")
_WIDTH = re.compile(r"(0?\d{1,2})?d?")
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}


@dataclass(frozen=True)
class OutputPattern:
    """A PNG file's name, or a folder, in which ``{seed}`` and ``{index}`` stand for those of a picture.

    A name that ends in ``.png`` is a file; one that ends in a slash, is a folder already or has no suffix
    is a folder, where pictures are numbered. Fields take a width: ``{index:03}``; ``{{`` is a brace.

    Args:
        suffixes: of the files, in small letters, where they are not PNG.

    Raises:
        OutputError: it has another field or suffix, or is empty.
    """

    text: str = "outputs/"
    suffixes: tuple[str, ...] = (".png",)

    def __post_init__(self) -> None:
        if not self.text or "\0" in self.text:
            raise OutputError(
                f"{self.text!r} is not a file name", f"Name a {self.suffixes[0]} file or a folder."
            )
        self._check_fields()
        path = Path(self.text)
        if not self.is_folder and not self._names_file:
            kinds = " or ".join(suffix.removeprefix(".").upper() for suffix in self.suffixes)
            raise OutputError(
                f"gesso writes {kinds} files, not {path.suffix}",
                f"Use {path.with_suffix(self.suffixes[0]).name}, or end a folder's name with a slash.",
                where=self.text,
            )

    @property
    def is_folder(self) -> bool:
        path = Path(self.text)
        if self.text.endswith(("/", os.sep)) or not (path.suffix or self._names_file):
            return True
        with as_output_errors(path):
            return path.is_dir()

    @property
    def _names_file(self) -> bool:
        return self.text.lower().endswith(self.suffixes)

    def _check_fields(self) -> None:
        advice = "Use {seed}, {index} or {index:03}; write a brace as {{ or }}."
        try:
            parsed = list(Formatter().parse(self.text))
        except ValueError as error:
            raise OutputError(f"its braces do not match ({error})", advice, where=self.text) from error
        for _, name, width, conversion in parsed:
            if name is None:
                continue
            if name not in FIELDS or conversion or not _WIDTH.fullmatch(width or ""):
                shown = f"{{{name}{'!' + conversion if conversion else ''}{':' + width if width else ''}}}"
                raise OutputError(f"{shown} is not a field", advice, where=self.text)

    def path(self, seed: int, index: int) -> Path:
        """The file, or the folder, of a picture."""
        return Path(self.text.format(seed=seed, index=index))

    def check_writable(self, request: GenerationRequest) -> None:
        """Find out before drawing whether all pictures of the request can be written.

        While the seed is open, a name that depends on it is only known to be in a folder one can write to.

        Raises:
            OutputError: a file exists, two pictures would get one name, or a folder cannot be written.
        """
        paths = [
            self.path((request.seed or 0) + request.seed_stride * index, index)
            for index in range(request.count)
        ]
        if not self.is_folder:
            if len(set(paths)) < len(paths):
                name = Path(self.text)
                raise OutputError(
                    f"{request.count} pictures cannot share one name",
                    f"Number them: {name.stem}-{{index}}{name.suffix}.",
                    where=self.text,
                )
            if request.seed is not None or paths[0] == self.path(1, 0):
                for path in paths:
                    check_free(path)
        for folder in {path if self.is_folder else path.parent for path in paths}:
            try_folder(folder)

    def save(
        self, pil_image: Image, request: ResolvedRequest, index: int, info: PngInfo | None = None
    ) -> Path:
        """Write picture ``index`` of a request and return its path.

        In a folder its name is the next free number and its seed, "00012-1234.png".

        Args:
            info: the texts to write with it, see `gesso.pipeline.metadata.png_info`.

        Raises:
            OutputError: the file exists or cannot be written; nothing of it is left behind.
        """
        buffer = io.BytesIO()
        pil_image.save(buffer, format="PNG", pnginfo=info)
        seed = request.seed_of(index)
        path = self.path(seed, index)
        if not self.is_folder:
            write_new_file(path, buffer.getvalue())
            return path
        number = last_number(path) + 1
        while not _write_if_free(numbered := path / f"{number:05d}-{seed}.png", buffer.getvalue()):
            number += 1  # another process was faster
        return numbered


def last_number(folder: Path) -> int:
    """The highest number of a picture in the folder; 0 if there is none, or no folder."""
    with as_output_errors(folder):
        names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
    return max((int(found[1]) for name in names if (found := _NUMBERED.fullmatch(name))), default=0)


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, creating its folder if need be.

    The data goes to a temporary file in the same folder, to the disk, and only then gets its name, so that
    nobody ever sees part of it, not even after an interrupt.

    Raises:
        OutputError: the file exists (also if another process was faster), or cannot be written.
    """
    if not _write_if_free(path, data):
        raise _exists(path)


def _write_if_free(path: Path, data: bytes) -> bool:
    """Whether the name was free; if so, the file is there now."""
    with as_output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary_in(path.parent)
        try:
            _write_synced(temporary, data)
            _link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
    return True


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link(temporary: Path, path: Path) -> None:
    """Give the temporary file its name; FileExistsError if the name is taken."""
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        path.touch(exist_ok=False)  # claims the name on file systems such as FAT
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise


def try_folder(folder: Path) -> None:
    """Write and remove a file there, or in the nearest folder that exists; permission bits do not tell."""
    with as_output_errors(folder):
        existing = next(
            parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent)
        )
        temporary = _temporary_in(existing)
        try:
            temporary.touch(exist_ok=False)
        finally:
            temporary.unlink(missing_ok=True)


def _temporary_in(folder: Path) -> Path:
    return folder / f".gesso-{secrets.token_hex(8)}.part"


def escape(path: Path) -> str:
    """A path as a pattern of nothing but itself."""
    return str(path).replace("{", "{{").replace("}", "}}")


def check_free(path: Path) -> None:
    """Refuse a name that is taken."""
    with as_output_errors(path):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
    raise _exists(path)


def _exists(path: Path) -> OutputError:
    return OutputError("it exists already", "Choose another name, or a folder.", where=str(path))


@contextmanager
def as_output_errors(path: Path) -> Iterator[None]:
    """Say of the file system's errors which file could not be written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space." if full else "Choose another file or folder."
        raise OutputError(
            f"cannot be written ({error.strerror or error})", advice, where=str(path)
        ) from error
