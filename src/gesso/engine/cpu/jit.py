"""How the CPU's kernels are compiled: by Numba, once a machine, for all cores.

Kernels read and write channels-last memory as NumPy arrays (b, h, w, c), so their inner loops run over
neighbouring channels and the compiler turns them into vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from threading import Lock
from typing import Any, TypeVar, cast

import numba
import numpy as np
import torch
from numba.core import config as numba_config
from numba.extending import intrinsic
from numba.np.ufunc.parallel import threading_layer
from torch import Tensor

from gesso.engine.cpu.kernel_cache import KernelCache

config: Any = numba_config
Function = TypeVar("Function", bound=Callable[..., Any])

FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
"""What the compiler may assume. Not that nothing is NaN: a NaN must reach those who look for it."""

ONE_AT_A_TIME = Lock()


def kernel(function: Function) -> Function:
    """Compile a function whose outer loop (``prange``) is shared among the threads; kept on disk."""
    compiler: Any = numba.njit(parallel=True, nogil=True, error_model="numpy", fastmath=FASTMATH)
    compiled = compiler(function)
    compiled._cache = KernelCache(function)

    @wraps(function)
    def call(*arguments: Any) -> None:
        with turn():
            compiled(*arguments)

    return cast(Function, call)


@cache
def turn() -> AbstractContextManager[object]:
    """What a thread holds while it runs a kernel.

    OpenMP and TBB run several at once. Numba's own pool, which it has where those are missing, ends the
    process instead, so there one thread waits for the other.
    """
    numba.get_num_threads()  # chooses the pool
    return ONE_AT_A_TIME if threading_layer() == "workqueue" else nullcontext()


def inline(function: Function) -> Function:
    """Compile a function into the kernels that call it."""
    compiler: Any = numba.njit(inline="always", error_model="numpy", fastmath=FASTMATH)
    return compiler(function)


def use_torch_threads() -> None:
    """Let kernels run on as many threads as torch does."""
    most: int = config.NUMBA_NUM_THREADS
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, most))
    if torch.get_num_threads() != threads:  # starting its threads, Numba sets OpenMP's number for all
        torch.set_num_threads(threads)


def pixels(x: Tensor) -> np.ndarray:
    """A feature map (b, c, h, w) as the array (b, h, w, c) over the same memory, if it is channels-last."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).numpy()


def _write_exponent(_typing_context: Any, _exponent: Any) -> Any:
    """2ⁿ of an int32, as a float32, by writing the exponent's bits."""
    from llvmlite import ir

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        bits = ir.IntType(32)
        biased = builder.add(args[0], ir.Constant(bits, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(bits, 23)), ir.FloatType())

    return numba.float32(numba.int32), codegen


_power_of_two: Any = intrinsic(_write_exponent)


@inline
def exp(x: float) -> float:
    """eˣ in float32, to 2e-7: eˣ = 2ⁿ · 2ᶠ with f in ±½, where a polynomial is exact enough."""
    scaled = min(max(x * np.float32(1.4426950408889634), np.float32(-126)), np.float32(126))
    whole = np.floor(scaled + np.float32(0.5))
    f = scaled - whole
    power = np.float32(0.00015403530393381606)  # Taylor: (ln 2)ᵏ / k!
    power = power * f + np.float32(0.0013333558146428443)
    power = power * f + np.float32(0.009618129107628477)
    power = power * f + np.float32(0.05550410866482158)
    power = power * f + np.float32(0.2402265069591007)
    power = power * f + np.float32(0.6931471805599453)
    power = power * f + np.float32(1)
    return power * _power_of_two(np.int32(whole))
