"""Recording on a GPU: warm up, let cuDNN choose its algorithms by measurement, capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gesso.engine.cuda.graphs import Function

WARM_UPS = 2
"""Runs before the recording: kernels are compiled and chosen, libraries set up, workspaces allocated."""


class GpuRecorder:
    """Records CUDA graphs.

    All graphs of a device take their memory from one pool. That is safe because each runs to its end
    before the next one on its stream, none reads what another wrote, and outputs are copied out at once.
    """

    def can_record(self, x: Tensor) -> bool:
        return x.is_cuda and not torch.is_grad_enabled() and not torch.cuda.is_current_stream_capturing()

    def record(self, function: Function, inputs: tuple[Tensor, ...]) -> tuple[Callable[[], object], Tensor]:
        device = inputs[0].device
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), measured_convolutions():
            warm_up(function, inputs)
            with torch.cuda.graph(graph, pool=pool(device), capture_error_mode="thread_local"):
                output = function(*inputs)
        return graph.replay, output


def warm_up(function: Function, inputs: tuple[Tensor, ...]) -> None:
    """Run on a stream of its own, as capturing will."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(stream)


@cache
def pool(device: torch.device) -> Any:
    """The memory that all graphs of a device share."""
    with torch.cuda.device(device):
        return torch.cuda.graph_pool_handle()


@contextmanager
def measured_convolutions() -> Iterator[None]:
    """Let cuDNN try its algorithms on each new shape, and compute float32 in float32, not TF32.

    A graph keeps what was chosen when it was recorded. Outside, where shapes may change at every call,
    measuring could cost more than it gains, so the caller's settings come back.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before
