"""One run of a model on meta tensors, written down: every module's shapes, arithmetic and sources.

Meta tensors have a shape and no numbers, so the run takes a moment and no memory whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gesso.anatomy.arithmetic import Macs, call_macs
from gesso.anatomy.shapes import Shape, call_on_meta, operands


@dataclass(frozen=True)
class Source:
    """One operand of a concatenation: the module whose output it is, and its channels."""

    path: str
    channels: int


@dataclass
class Call:
    """One call of a module, or of an activation or attention function inside it.

    Attributes:
        path: of the module in the model ("down_blocks.0.resnets.1.conv1"); for a function, its caller's.
        function: name of the function ("silu"); empty for a module.
        inputs: shapes of the tensors it was given.
        output: shape of what it returned.
        macs: its own arithmetic, without that of the modules it called.
        repeats_input: whether its first two inputs are the same tensor, as in self-attention.
        concatenated: what its first input was concatenated from; empty if it was not.
    """

    path: str
    function: str
    inputs: tuple[Shape, ...]
    output: Shape = ()
    macs: Macs = field(default_factory=Macs)
    repeats_input: bool = False
    concatenated: tuple[Source, ...] = ()


STEPS: dict[Callable[..., Any], str] = {
    F.silu: "silu",
    F.gelu: "gelu",
    torch.sigmoid: "sigmoid",
    F.scaled_dot_product_attention: "attention",
}


class Tracer(TorchFunctionMode):
    """Writes down what a model calls while it runs; a context manager around one run of it.

    Attributes:
        calls: in the order in which they began.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.calls: list[Call] = []
        self._open: list[Call] = []
        self._made_by: dict[int, str] = {}
        self._joined: dict[int, tuple[Source, ...]] = {}
        self._kept: list[Tensor] = []  # an id stays unique only as long as its tensor lives

    def __enter__(self) -> Tracer:
        self._hooks = ExitStack()
        for path, module in self.model.named_modules():
            self._hooks.enter_context(module.register_forward_pre_hook(self._before(path)))
            self._hooks.enter_context(module.register_forward_hook(self._after(path)))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        super().__exit__(*error)

    def _before(self, path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            tensors = [argument for argument in args if isinstance(argument, Tensor)]
            call = Call(path, "", tuple(tuple(tensor.shape) for tensor in tensors))
            call.repeats_input = len(tensors) > 1 and tensors[0] is tensors[1]
            call.concatenated = self._joined.get(id(tensors[0]), ())
            self.calls.append(call)
            self._open.append(call)

        return hook

    def _after(self, path: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            self._open.pop().output = tuple(output.shape)
            self._made_by.setdefault(id(output), path)  # the innermost module that returned it
            self._kept.append(output)

        return hook

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = call_on_meta(func, args, kwargs or {})
        if func is torch.cat:
            self._joined[id(output)] = tuple(
                Source(self._made_by.get(id(operand), ""), operand.shape[1]) for operand in args[0]
            )
            self._kept.append(output)
        if not self._open:
            return output
        macs = call_macs(func, args, output)
        if name := STEPS.get(func):
            inputs = tuple(tuple(tensor.shape) for tensor in operands(args))
            self.calls.append(Call(self._open[-1].path, name, inputs, tuple(output.shape), macs))
        elif macs.total:
            self._open[-1].macs += macs
        return output
