"""How weights lie in the GPU's memory."""

from __future__ import annotations

import torch
from torch import nn

from gesso.engine.layout import channels_last

HALVES = (torch.float16, torch.bfloat16)


def lay_out(model: nn.Module) -> None:
    """Channels-last in half precision, as tensor cores read it; float32 is not theirs and stays."""
    for convolution in (module for module in model.modules() if isinstance(module, nn.Conv2d)):
        if convolution.weight.dtype in HALVES:
            channels_last(convolution)
