"""What the machine can do, and what a process has taken of it."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PRODUCT_SIDE = {"cpu": 2048, "cuda": 8192, "mps": 4096}
"""Of the square matrices whose product is timed: large enough that memory does not matter."""

PRODUCTS = 5


def matrix_product_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second in a large matrix product: what the networks could reach at most.

    The median of a few products, each of them seen through to its end.
    """
    import torch

    side = PRODUCT_SIDE[device.type]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds: list[float] = []
    for _ in range(PRODUCTS + 1):  # the first one wakes threads and libraries
        started = now(device)
        torch.mm(a, b)
        seconds.append(now(device) - started)
    return 2 * side**3 / statistics.median(seconds[1:])


def now(device: torch.device) -> float:
    """Seconds on a clock, read when a device has done all it was asked for."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def peak_memory() -> int | None:
    """The most bytes of memory that this process has had at a time, mapped files included.

    None where the system does not say. Linux's ``ru_maxrss`` is not asked: it begins with the parent's.
    """
    if sys.platform.startswith("linux"):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return None if line is None else int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def processor() -> str:
    """What the processor calls itself."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
