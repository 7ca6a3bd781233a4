"""When the CPU's kernels can stand in; asking loads none of them.

Loading the compiler takes half as long as loading a model, so the modules here import their kernels
where they call them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def runs_kernels(*operands: Tensor) -> bool:
    """Whether the kernels can stand in here: float32 on the CPU, and nobody asks for gradients."""
    gradients = torch.is_grad_enabled() and any(each.requires_grad for each in operands)
    fits = all(each.dtype == torch.float32 and each.device.type == "cpu" for each in operands)
    return fits and not gradients
