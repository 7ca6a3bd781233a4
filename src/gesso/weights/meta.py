"""Networks without numbers: modules on the meta device, which have shapes but neither memory nor values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def on_meta() -> Iterator[None]:
    """Make modules on the meta device, and leave out their initialisation.

    Drawing values for tensors that hold none would cost seconds, most of them for importing the compiler,
    through which torch draws on that device.
    """
    with torch.device("meta"), WithoutInitialisation():
        yield


class WithoutInitialisation(TorchFunctionMode):
    """Calls of ``torch.nn.init`` return the tensor as it is."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
