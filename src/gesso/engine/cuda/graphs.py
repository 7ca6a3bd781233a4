"""Calls of one shape, recorded once and started again as a whole.

A call of the UNet starts hundreds of kernels of a few microseconds each. A CUDA graph starts them all at
once, on the memory they were recorded with: inputs are copied to where the recording reads, and its output
to where the next replay does not write. What a device has to offer for that is a `Recorder`; nothing here
knows a device.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MOST_GRAPHS = 8
"""Shapes whose graphs are kept; the one not used for longest makes room."""

Function = Callable[..., Tensor]
Key = tuple[tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device], ...]


class Recorder(Protocol):
    """What a device offers."""

    def can_record(self, x: Tensor) -> bool:
        """Whether calls on this input can be recorded here and now."""
        ...

    def record(self, function: Function, inputs: tuple[Tensor, ...]) -> tuple[Callable[[], object], Tensor]:
        """Run a function and remember what it starts.

        Returns:
            What starts it again, and the output that each replay writes.

        Raises:
            RuntimeError: it cannot be recorded, or the memory does not suffice.
        """
        ...


@dataclass(frozen=True, eq=False)
class Graph:
    """One recorded shape.

    Attributes:
        inputs: where the recording reads.
        output: where it writes.
        replay: runs it.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    replay: Callable[[], object]

    def __call__(self) -> Tensor:
        """The output for what is in ``inputs`` now."""
        self.replay()
        return self.output.clone()


class Graphs:
    """The graphs of one function, by shape, strides, precision and device of its inputs.

    Args:
        recorder: how they are recorded.
        most: how many are kept.
    """

    def __init__(self, recorder: Recorder, most: int = MOST_GRAPHS) -> None:
        self.recorder = recorder
        self.most = most
        self.known: OrderedDict[Key, Graph | None] = OrderedDict()
        self.weights: list[Tensor] = []
        self.addresses: list[int] = []

    def find(self, function: Function, *inputs: Tensor) -> Graph | None:
        """The graph for inputs like these, or None where it cannot be recorded.

        One that is new is recorded now, with copies of these inputs in its own.
        """
        key = tuple((x.shape, x.stride(), x.dtype, x.device) for x in inputs)
        if key not in self.known:
            while len(self.known) >= self.most:
                self.known.popitem(last=False)
            self.known[key] = self.recorded(function, inputs)
        self.known.move_to_end(key)
        return self.known[key]

    def recorded(self, function: Function, inputs: tuple[Tensor, ...]) -> Graph | None:
        places = tuple(x.clone() for x in inputs)
        try:
            replay, output = self.recorder.record(function, places)
        except RuntimeError as error:  # torch's out of memory is one
            shapes = " and ".join("×".join(map(str, x.shape)) for x in inputs)
            reason = (str(error) or type(error).__name__).splitlines()[0]
            log.warning("no graph for inputs of %s, which run without one: %s", shapes, reason)
            return None
        return Graph(places, output, replay)

    def reads(self, weights: Iterable[Tensor]) -> None:
        """Say which tensors a function reads besides its inputs; graphs of others are dropped."""
        self.weights = list(weights)
        self.forget_if_moved()

    def forget_if_moved(self) -> None:
        """Drop all graphs if what they read lies elsewhere by now: moved, replaced or offloaded."""
        addresses = [weight.data_ptr() for weight in self.weights]
        if addresses != self.addresses:
            self.known.clear()
            self.addresses = addresses
