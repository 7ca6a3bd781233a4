"""Pseudo linear multistep."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor

ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the newest, second newest, … slope, by how many there are."""


def sample_plms(denoise: Denoise, x: Tensor, sigmas: Tensor, _noise: Noise) -> Iterator[Step]:
    """DDIM steps along a mean of the last four slopes (Liu et al. 2022, pseudo linear multistep).

    The weights are those of equal steps. The first step, which has no slopes behind it, is corrected as
    in Heun's method (the paper's pseudo improved Euler step): one evaluation more than steps.
    Slopes are averaged whatever the network predicts; Diffusers averages a v-network's raw outputs instead,
    which leaves a method of first order.
    """
    slopes: deque[Tensor] = deque(maxlen=len(ADAMS_BASHFORTH))
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        slopes.appendleft((x - denoised) / sigma)
        slope = sum(
            weight * past for weight, past in zip(ADAMS_BASHFORTH[len(slopes) - 1], slopes, strict=True)
        )
        if index == 0 and len(sigmas) > 2:
            landed = x + slope * (sigma_next - sigma)
            slope = (slope + (landed - denoise(landed, sigma_next)) / sigma_next) / 2
        x = x + slope * (sigma_next - sigma)
        yield Step(index, sigma_next, x, denoised)
