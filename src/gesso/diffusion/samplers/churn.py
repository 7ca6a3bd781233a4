"""Stochastic churn: noise added before a deterministic step, which then goes as much further down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Noise

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Churn:
    """How much noise a walk adds on its way (Karras et al. 2022, Algorithm 2 and section 4).

    Attributes:
        steps: of the walk, which share ``s_churn`` between them.
        s_churn: S_churn; 0 adds none, and no step raises σ by more than a factor of √2.
        s_tmin: S_tmin, the lowest noise level at which noise is added.
        s_tmax: S_tmax, the highest.
        s_noise: S_noise, the deviation of the noise.
    """

    steps: int
    s_churn: float
    s_tmin: float
    s_tmax: float
    s_noise: float

    def raised(self, x: Tensor, sigma: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """``x`` with noise added, and the noise level σ̂ it then has: lines 4 to 6 of the algorithm."""
        gamma = min(self.s_churn / self.steps, math.sqrt(2) - 1)
        if gamma == 0 or not self.s_tmin <= sigma <= self.s_tmax:
            return x, sigma
        sigma_hat = sigma * (1 + gamma)
        return x + (sigma_hat**2 - sigma**2).sqrt() * (self.s_noise * noise()), sigma_hat
