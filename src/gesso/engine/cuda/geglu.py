"""The gate of a GEGLU in one pass over memory (Shazeer 2020; PyTorch takes two, and a tensor between)."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gesso.engine.cuda.launch import on_device_of, parts

BLOCK = 1024
"""Values that one program gates."""


def gate(x: Tensor) -> Tensor:
    """value · GELU(gate), the value in the first half of the last dimension: (…, 2c) -> (…, c)."""
    x = x.contiguous()
    channels = x.shape[-1] // 2
    y = torch.empty(*x.shape[:-1], channels, dtype=x.dtype, device=x.device)
    kernel: Any = _gate
    with on_device_of(x):
        kernel[(y.numel() // channels, parts(channels, BLOCK))](x, y, channels, BLOCK=BLOCK)
    return y


@triton.jit
def _gate(x, y, channels, BLOCK: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < channels
    value = tl.load(x + row * 2 * channels + column, mask=inside, other=0).to(tl.float32)
    gate = tl.load(x + row * 2 * channels + channels + column, mask=inside, other=0).to(tl.float32)
    gelu = 0.5 * gate * (1 + tl.erf(gate * 0.7071067811865476))
    tl.store(y + row * channels + column, (value * gelu).to(y.dtype.element_ty), mask=inside)
