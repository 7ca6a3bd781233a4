"""UniPC."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor

ORDER = 2


def sample_unipc(denoise: Denoise, x: Tensor, sigmas: Tensor, _noise: Noise) -> Iterator[Step]:
    """UniPC-2 on estimates with B₂(h) = e^h − 1 (Zhao et al. 2023, Algorithms 1 and 2, data prediction).

    Each step predicts (UniP); the estimate made where it lands first corrects the step that led there
    (UniC), then serves the next prediction, so the corrector costs no evaluation. Steps are in λ = −log σ;
    the first one and the last are of first order.
    """
    steps = len(sigmas) - 1
    lambdas = [-math.log(sigma) if sigma > 0 else math.inf for sigma in sigmas.tolist()]
    estimates: list[Tensor] = []
    origin, order = x, 0
    for index in range(steps):
        denoised = denoise(x, sigmas[index])
        if index > 0:
            target = corrected(lambdas[: index + 1], [*estimates, denoised], order)
            x = target + sigmas[index] / sigmas[index - 1] * (origin - target)
        estimates = [*estimates, denoised][-ORDER:]
        origin, order = x, min(ORDER, index + 1, steps - index)
        target = predicted(lambdas[: index + 2], estimates, order)
        x = target + sigmas[index + 1] / sigmas[index] * (origin - target)
        yield Step(index, sigmas[index + 1], x, denoised)


def predicted(lambdas: list[float], estimates: list[Tensor], order: int) -> Tensor:
    """What UniP takes the estimate to be over the step between the last two of ``lambdas``."""
    newest = estimates[-1]
    if order == 1:
        return newest
    before, here, there = lambdas[-3:]
    return newest + (newest - estimates[-2]) * ((there - here) / (2 * (here - before)))


def corrected(lambdas: list[float], estimates: list[Tensor], order: int) -> Tensor:
    """What UniC takes it to have been, knowing the estimate at the step's end, the last one.

    Its weights solve the order conditions of equation 6 of the paper.
    """
    newest, landed = estimates[-2:]
    if order == 1:
        return (newest + landed) / 2
    before, here, there = lambdas[-3:]
    h = there - here
    ratio = (before - here) / h
    grown = math.expm1(-h)
    first = -(grown / h + 1)  # e^(−h) − 1 divided by −h, less 1
    second = -(first / h + 0.5)
    weight_before = (first - 2 * second) / grown / (1 - ratio)
    weight_landed = first / grown - weight_before
    return newest + (estimates[-3] - newest) * (weight_before / ratio) + (landed - newest) * weight_landed
