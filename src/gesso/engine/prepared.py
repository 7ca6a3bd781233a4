"""What fast modules keep besides their parameters, and where it does not go."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn


class KeepsPrepared(nn.Module):
    """A module that prepares something when it is first needed; copies and files of it start without."""

    prepared: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that hold it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self.prepared}


def forget(module: nn.Module) -> None:
    """Give back the memory of all that a module has prepared."""
    if isinstance(module, KeepsPrepared):
        for name in module.prepared:
            vars(module).pop(name, None)
