"""Memory that is given back is kept for the next feature map, not fetched from the system anew.

The C library returns large blocks to the kernel at once, which must then clear every page of the next
one: at 84 MB for one feed-forward layer, that costs as much time as a third of its matrix product.
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # names of mallopt's parameters, from malloc.h
NEVER = -1


def keep_freed_memory() -> bool:
    """Ask the C library (glibc only) to keep what this process frees; whether it could be asked."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, NEVER))


def return_freed_memory() -> None:
    """Give the system back what is kept, where that can be asked for."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
