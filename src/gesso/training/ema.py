"""A running average of a model's weights: what is kept of a training run."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class EMA(Generic[Model]):
    """Exponential moving average (Polyak & Juditsky 1992; as used by Ho et al. 2020, appendix B).

    Attributes:
        model: a copy of the trained model that holds the averaged weights.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after 0-based ``step``; early on the average forgets faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, weights = tuple(self.model.parameters()), tuple(model.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
