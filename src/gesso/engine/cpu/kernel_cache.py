"""Kernels on disk: out of date as soon as anything that is compiled into them is.

Numba looks at the date and size of the file a kernel is written in. What the kernel takes from other files
is compiled into it, too, and a newer gesso would go on with the older one's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from numba.core.caching import FunctionCache

IMPORT = re.compile(r"^from (gesso\.[\w.]+) import", re.MULTILINE)


class KernelCache(FunctionCache):
    """What Numba keeps of a function, as long as all sources that it is made of stay the same."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = fingerprint(function.__module__)


def fingerprint(module: str) -> str:
    """Of the sources of a module, and of those of gesso's that it imports from, directly or not."""
    sources: dict[str, str] = {}
    left = [module]
    while left:
        name = left.pop()
        if name not in sources:
            sources[name] = source(name)
            left += IMPORT.findall(sources[name])
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()


@cache
def source(module: str) -> str:
    """The text of a module, which may lie in an archive; none if only its compiled form is there."""
    loader: Any = getattr(find_spec(module), "loader", None)
    return loader.get_source(module) or ""
