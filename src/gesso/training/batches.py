"""Batches of training, made on the processor, by several processes where a GPU would wait for one."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

MOST_WORKERS = 12
AHEAD = 3
"""Batches that each process has ready."""

Batch = tuple[Tensor, ...]


class BatchTask(ABC):
    """A task whose steps are a batch, made on the processor, and then tensors alone.

    What comes after the batch has the same shapes at every step and asks nothing of the processor, so a
    GPU can record it (`gesso.training.recorded`).

    Attributes:
        device: where the model is.
    """

    name: str
    settings: dict[str, Any]
    device: torch.device

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """What one step reads, on the processor; its randomness follows from the step alone."""

    @abstractmethod
    def loss_of(self, *batch: Tensor) -> Tensor:
        """The loss of a batch that is on the device."""

    def loss(self, step: int) -> Tensor:
        return self.loss_of(*(part.to(self.device) for part in self.batch(step)))


class _Batches(Dataset[Batch]):
    def __init__(self, task: BatchTask) -> None:
        self.task = task

    def __getitem__(self, step: int) -> Batch:
        return self.task.batch(step)


def batches(task: BatchTask, steps: range) -> Iterator[Batch]:
    """The batches of some steps, each made ahead of its time."""
    count = workers()
    loader: DataLoader[Batch] = DataLoader(
        _Batches(task),
        batch_size=None,
        sampler=steps,
        num_workers=count,
        prefetch_factor=AHEAD if count else None,
        multiprocessing_context="fork" if count else None,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


def workers() -> int:
    """How many processes make batches, beside the one that trains and one to spare.

    None but on Linux: they are forked, so that they have the task's scenes without being sent them.
    """
    if sys.platform != "linux":
        return 0
    return max(0, min(MOST_WORKERS, len(os.sched_getaffinity(0)) - 2))
