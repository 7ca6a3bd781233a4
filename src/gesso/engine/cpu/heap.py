"""Memory that is given back is kept for the next feature map, not fetched from the system anew.

The C library returns large blocks to the kernel at once, which must then clear every page of the next
one: at 84 MB for one feed-forward layer, that costs as much time as a third of its matrix product.
"""

from __future__ import annotations

import ctypes
import sys

from torch import Tensor

from gesso.weights.pages import madvise

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # names of mallopt's parameters, from malloc.h
NEVER = -1

MADV_HUGEPAGE = 14
"""Linux's number on every processor torch runs on."""

HUGE_PAGE = 2 * 2**20
"""Bytes of a huge page on x86-64, and on ARM with pages of 4 KiB."""


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


def use_huge_pages(fresh: Tensor) -> Tensor:
    """Ask Linux to back memory that nobody has written to yet with huge pages; returns the tensor.

    The kernel then clears 2 MB at a time, not 4 KB, and is called that much less often (madvise(2)). What
    does not fill a huge page stays as it is, as does everything where Linux is set never to use them.
    """
    advise = madvise()
    first = -(-fresh.data_ptr() // HUGE_PAGE) * HUGE_PAGE
    end = (fresh.data_ptr() + fresh.nbytes) // HUGE_PAGE * HUGE_PAGE
    if advise is not None and end > first:
        advise(first, end - first, MADV_HUGEPAGE)  # advice only: no error matters
    return fresh
