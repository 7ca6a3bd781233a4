"""When and where the GPU's kernels run.

They are written in Triton, which compiles them the first time they are needed and keeps them on disk.
Kernels read and write channels-last memory: a feature map (b, c, h, w) as rows of pixels (b, h·w, c).
They compute in float32 whatever they read and write.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Whether Triton's interpreter stands in for the GPU, as in tests; Triton asks when kernels are defined."""

PRECISIONS = (torch.float16, torch.bfloat16, torch.float32)


def runs_kernels(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels can stand in here: on a GPU, one precision, and nobody asks for gradients."""
    gradients = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return (x.is_cuda or INTERPRETED) and x.dtype == weight.dtype in PRECISIONS and not gradients


def is_channels_last(x: Tensor) -> bool:
    """Whether a feature map lies in memory as rows of pixels."""
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Launches go to the current device, which need not be where the tensors are."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def parts(total: int, size: int) -> int:
    """How many of a size cover a total."""
    return -(-total // size)


def power_of_2(least: int) -> int:
    """The smallest one that is no less: what Triton's tiles are made of."""
    return 1 << (least - 1).bit_length()
