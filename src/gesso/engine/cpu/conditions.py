"""When the CPU's kernels can stand in; asking loads none of them.

Loading the compiler takes half as long as loading a model, so the modules here import their kernels
where they call them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def runs_kernels(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels can stand in here: float32 on the CPU, and nobody asks for gradients."""
    gradients = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and not gradients
