"""Out of memory, said so that one knows what to do; what is half done is given back."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gesso.errors import OutOfMemoryError

MESSAGES = ("can't allocate memory", "not enough memory", "out of memory", "Allocation failed")
"""Parts of what torch's allocators (Linux, Windows, MPS) and oneDNN say; they have no class for it."""


@contextmanager
def explain_exhaustion(doing: str, advice: str) -> Iterator[None]:
    """Turn torch's, Numba's and Python's ways of running out of memory into one error.

    Args:
        doing: what needs the memory ("drawing 2 pictures of 512×512").
        advice: what needs less.

    Raises:
        OutOfMemoryError: there was not enough. What had been allocated is free again.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_exhaustion(error):
            raise
        traceback.clear_frames(error.__traceback__)  # their variables hold the memory
        free_memory()
        raise OutOfMemoryError(f"not enough memory for {doing}", advice) from error


def is_exhaustion(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(message in str(error) for message in MESSAGES)


def free_memory() -> None:
    """Give back what nobody uses any more."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
