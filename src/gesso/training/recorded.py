"""Training steps on an NVIDIA GPU, recorded once and started again as a whole.

A step of a small network starts thousands of kernels of a few microseconds each, and the processor needs
longer to start them than the GPU to run them. A CUDA graph starts them all at once: forward, backward, and
what the optimizers do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gesso.training.batches import Batch, BatchTask, batches

WARM_UPS = 3
"""Steps taken one by one before the recording: libraries are set up, and optimizers make their states."""


class RecordedSteps:
    """The steps of a task, one after the other.

    Args:
        task: on a GPU.
        update: takes a loss and changes the weights; always by the same kernels on the same memory.
        steps: their numbers.
        half: compute in bfloat16 where that is enough.
    """

    def __init__(
        self, task: BatchTask, update: Callable[[Tensor], Tensor], steps: range, half: bool
    ) -> None:
        self.task = task
        self.update = update
        self.batches = batches(task, steps)
        self.half = half
        self.places: Batch = ()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result = torch.empty(())
        self.warm_ups = WARM_UPS

    def advance(self) -> Tensor:
        """Take the next step; its loss."""
        batch = next(self.batches)
        if self.warm_ups:
            self.warm_ups -= 1
            return self._aside(batch)
        graph = self.graph or self._recorded(batch)
        for place, part in zip(self.places, batch, strict=True):
            place.copy_(part, non_blocking=True)
        graph.replay()
        return self.result

    def _recorded(self, batch: Batch) -> torch.cuda.CUDAGraph:
        """A step like those to come, which is not taken by this."""
        self.places = tuple(part.to(self.task.device) for part in batch)
        self.graph = graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self.result = self._step(self.places)
        return graph

    def _aside(self, batch: Batch) -> Tensor:
        """A step on a stream of its own, as the recording will be."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = self._step(tuple(part.to(self.task.device) for part in batch))
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def _step(self, batch: Batch) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=self.half):
            loss = self.task.loss_of(*batch)
        return self.update(loss)
