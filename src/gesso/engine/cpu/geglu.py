"""The gate of a GEGLU in one pass over memory (Shazeer 2020; PyTorch takes two, and a copy)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from gesso.engine.cpu.jit import exp, inline, kernel, use_torch_threads


def gate(x: Tensor) -> Tensor:
    """value · GELU(gate), the value in the first half of the last dimension: (…, 2c) -> (…, c), float32."""
    use_torch_threads()
    y = torch.empty(*x.shape[:-1], x.shape[-1] // 2)
    _gate(x.contiguous().view(-1, x.shape[-1]).numpy(), y.view(-1, y.shape[-1]).numpy())
    return y


@inline
def _erf(x: Any) -> Any:
    """The error function to 2e-7 (Abramowitz & Stegun 1964, formula 7.1.26)."""
    size = abs(x)
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * size)
    polynomial = np.float32(1.061405429) * t + np.float32(-1.453152027)
    polynomial = polynomial * t + np.float32(1.421413741)
    polynomial = polynomial * t + np.float32(-0.284496736)
    polynomial = polynomial * t + np.float32(0.254829592)
    return np.copysign(np.float32(1) - polynomial * t * exp(-size * size), x)


@kernel
def _gate(x: Any, y: Any) -> None:
    rows, channels = y.shape
    for row in prange(rows):
        for c in range(channels):
            gate = x[row, channels + c]
            gelu = np.float32(0.5) * gate * (np.float32(1) + _erf(gate * np.float32(0.7071067811865476)))
            y[row, c] = x[row, c] * gelu
