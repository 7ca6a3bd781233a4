"""Python's garbage collector, held still while many objects are made that all stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Do not search for garbage in this block.

    The collector runs each time some thousands of objects are new, and then looks at all those of torch
    too, only to find that everything is still needed: a third of what loading a model took.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
