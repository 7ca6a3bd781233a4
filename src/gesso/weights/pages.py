"""Give the system back the memory of weights that can be read again from their file.

Weights that are memory-mapped take memory from when they are first read. Linux can be told to forget such
pages (``madvise`` with ``MADV_DONTNEED``, man page madvise(2)); the next read brings them back, from the
system's file cache as a rule. Done to a page that was written to, this would lose what was written.

Why nothing is lost here:

- The kernel itself says, page by page, what each one is: in /proc/self/pagemap (the kernel's
  Documentation/admin-guide/mm/pagemap.rst), bit 61 marks pages of a file. Weights are mapped privately,
  so the first write to a page replaces it with a copy that belongs to no file, and clears the bit,
  whoever wrote it and however: torch, NumPy or C. Memory that was never a file's does not have it either.
- Only pages with that bit are given back, and none that are in swap.
- Only pages that lie whole within the tensor are looked at, so a neighbour's never are.
- What is left is somebody who writes to a tensor while it is being released, from another thread. So
  release weights only where nobody may change them: where they are computed with.

Where the kernel does not say (systems other than Linux), nothing is given back.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from mmap import PAGESIZE
from typing import Any

import numpy as np
import torch
from torch import Tensor

MADV_DONTNEED = 4
"""Linux's number on every processor torch runs on."""

PAGEMAP = "/proc/self/pagemap"
ENTRY_BYTES = 8
OF_A_FILE, IN_SWAP = np.uint64(1 << 61), np.uint64(1 << 62)


def release(tensors: Iterable[Tensor]) -> int:
    """Give back the memory of tensors as far as it is an unchanged part of a mapped file.

    Their values stay what they are. Nobody may write to them meanwhile.

    Returns:
        how many bytes were given back.
    """
    advise = madvise()
    if advise is None:
        return 0
    released = 0
    try:
        with open(PAGEMAP, "rb", buffering=0) as pagemap:  # noqa: PTH123 (Path.open has no such file)
            for begin, end in spans(tensors):
                for start, stop in unchanged(pagemap.fileno(), begin, end):
                    failed = advise(start * PAGESIZE, (stop - start) * PAGESIZE, MADV_DONTNEED)
                    released += 0 if failed else (stop - start) * PAGESIZE
    except OSError:  # such as in a sandbox without /proc
        return released
    return released


def spans(tensors: Iterable[Tensor]) -> Iterator[tuple[int, int]]:
    """The numbers of the first page that lies whole within each tensor, and of the one after the last."""
    for tensor in tensors:
        dense = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
        if tensor.device.type == "cpu" and dense and tensor.numel():
            begin, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
            if end // PAGESIZE > -(-begin // PAGESIZE):
                yield -(-begin // PAGESIZE), end // PAGESIZE


def unchanged(pagemap: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The runs of pages that are in memory and as they are in their file.

    Args:
        pagemap: descriptor of the open page map.
        begin: number of the first page.
        end: number of the page after the last.
    """
    entries = np.frombuffer(
        os.pread(pagemap, (end - begin) * ENTRY_BYTES, begin * ENTRY_BYTES), dtype=np.uint64
    )
    clean = (entries & (OF_A_FILE | IN_SWAP)) == OF_A_FILE
    edges = np.flatnonzero(np.diff(clean, prepend=False, append=False))
    for start, stop in edges.reshape(-1, 2).tolist():
        yield begin + start, begin + stop


@cache
def madvise() -> Any:
    """The C library's function, or None where it is not Linux's."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    function.restype = ctypes.c_int
    return function
