"""What follows a convolution: its bias and the residual, added in one pass over memory."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from gesso.engine.cuda.launch import on_device_of, parts

BLOCK = 1024
"""Values that one program adds."""


def add_bias_and_residual(y: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    """``y + bias + residual``, written over ``y``.

    Args:
        y: (b, c, h, w) channels-last.
        bias: (c,).
        residual: (b, c, h, w) channels-last.
    """
    kernel: Any = _add
    with on_device_of(y):
        kernel[(parts(y.numel(), BLOCK),)](y, bias, residual, y.numel(), y.shape[1], BLOCK=BLOCK)
    return y


@triton.jit
def _add(y, bias, residual, count, channels, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    result = tl.load(y + place, mask=inside, other=0).to(tl.float32)
    result += tl.load(bias + place % channels, mask=inside, other=0).to(tl.float32)
    result += tl.load(residual + place, mask=inside, other=0).to(tl.float32)
    tl.store(y + place, result.to(y.dtype.element_ty), mask=inside)
