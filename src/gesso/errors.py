"""Every error gesso raises on purpose: what went wrong, where, and what to do about it.

The command line prints ``str(error)`` as its one line and exits with 1, so a message is a sentence
for the person at the keyboard. ``where`` names the file or the request field it is about.
"""

from __future__ import annotations

from collections.abc import Sequence


class GessoError(Exception):
    """Base of all of them.

    Args:
        problem: what is wrong, with the offending value ("1001 is outside 1…1000").
        advice: what to do ("Use between 1 and 1000 steps."); empty if there is nothing to say.
        where: the file or field concerned ("steps", "model.ckpt"); None if there is none.
    """

    def __init__(self, problem: str, advice: str = "", *, where: str | None = None) -> None:
        self.problem = problem.rstrip(".")
        self.advice = advice
        self.where = where
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{self.problem}.{f' {advice}' if advice else ''}")


class RequestError(GessoError):
    """A field of a generation request has a value that cannot be drawn."""


class PromptError(RequestError):
    """A prompt cannot be read (too long, not text, a weight that is no number).

    Args:
        position: of the character it is about, from 0; the message counts from 1. None is the whole prompt.
    """

    def __init__(
        self, problem: str, advice: str = "", *, where: str | None = None, position: int | None = None
    ) -> None:
        self.position = position
        place = "" if position is None else f" at character {position + 1}"
        super().__init__(f"{problem.rstrip('.')}{place}", advice, where=where)


class BatchError(RequestError):
    """Lines of a file of requests cannot be drawn.

    Args:
        errors: one for each of them; each names its line.
    """

    def __init__(self, errors: Sequence[RequestError], *, where: str) -> None:
        self.errors = tuple(errors)
        lines = "1 line" if len(errors) == 1 else f"{len(errors):,} lines"
        super().__init__(f"{lines} cannot be drawn, so none was", where=where)


class ImageError(GessoError):
    """A picture cannot be read, or carries no request."""


class CheckpointError(GessoError):
    """A checkpoint cannot be loaded; ``where`` is its file or folder."""


class FormatError(CheckpointError):
    """The bytes are not a readable weights file: truncated, corrupt, or something else altogether."""


class UnsafePickleError(CheckpointError):
    """A pickle asks for code to be run; none was."""


class WrongKindError(CheckpointError):
    """A sound file of another kind (SDXL, LoRA, …) than what was asked for; the message names it."""


class KeysError(CheckpointError):
    """Tensors are missing, unexpected, of the wrong shape, or not finite; the message names them."""


class HubError(CheckpointError):
    """A Hugging Face model can be had neither from the network nor from the cache."""


class OutputError(GessoError):
    """A file cannot be written; nothing of it is left behind."""


class NumericsError(GessoError):
    """Latents or pixels are NaN or infinite, so there is no picture to show."""


class OutOfMemoryError(GessoError):
    """The machine, or its GPU, has not enough memory; the message says what for, and what needs less."""


class ResumeError(GessoError):
    """A training run cannot be resumed from the file or folder given."""
