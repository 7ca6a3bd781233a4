"""Weights that are in memory only while the module they belong to computes.

They stay in the mapped file, in its precision. A module's weights are brought to where and how it computes
when it is called, and given back when it returns: on the CPU they are read where they are, unless the
precision differs; to a GPU they are copied each time. What the engine prepares of them goes with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn

from gesso.engine.prepared import forget
from gesso.weights.pages import release

LARGEST_UNIT = 256 * 1024**2
"""Bytes of weights, in their file, that may be in memory at a time; single modules can be larger."""


def stream_weights(model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Let a network on the CPU compute on ``device`` in ``dtype`` without its weights moving there."""
    for unit in units(model):
        Unit(unit, device, dtype)


def units(model: nn.Module) -> Iterator[nn.Module]:
    """The largest modules below a network that are called as a whole and have few enough weights."""
    for child in model.children():
        size = sum(parameter.nbytes for parameter in child.parameters())
        called = not isinstance(child, nn.ModuleList)
        if called and (size <= LARGEST_UNIT or not [*child.children()]):
            yield child
        else:
            yield from units(child)


class Unit:
    """A module whose weights come when it is called. Two threads call it one after the other."""

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.modules = list(module.modules())
        self.parameters = list(module.parameters())
        self.homes: list[Tensor] = []
        self.device, self.dtype = device, dtype
        self.lock = RLock()
        module.register_forward_pre_hook(self.come)
        module.register_forward_hook(self.go, always_call=True)

    def come(self, *_: Any) -> None:
        self.lock.acquire()
        if not self.homes:  # an interrupt can leave them behind
            self.homes = [parameter.data for parameter in self.parameters]
        with torch.inference_mode(False):  # parameters cannot become what inference mode makes
            for parameter, home in zip(self.parameters, self.homes, strict=True):
                parameter.data = home.to(device=self.device, dtype=self.dtype)

    def go(self, *_: Any) -> None:
        for parameter, home in zip(self.parameters, self.homes, strict=True):
            parameter.data = home
        release(self.homes)
        self.homes = []
        for module in self.modules:
            forget(module)
        self.lock.release()
