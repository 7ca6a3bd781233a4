"""Linear multistep."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gesso.diffusion.samplers.step import Denoise, Noise, Step

if TYPE_CHECKING:
    from torch import Tensor

ORDER = 4


def sample_lms(denoise: Denoise, x: Tensor, sigmas: Tensor, _noise: Noise) -> Iterator[Step]:
    """Integrate the polynomial through the last four slopes over the step (k-diffusion's LMS).

    The Adams–Bashforth method of order 4 on a grid of unequal steps (Hairer et al. 1993, section III.5),
    for one evaluation a step. The first three steps, which have fewer slopes, are of lower order.
    """
    slopes: deque[Tensor] = deque(maxlen=ORDER)
    levels = sigmas.tolist()
    for index in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[index])
        slopes.appendleft((x - denoised) / sigmas[index])
        nodes = levels[max(index - ORDER + 1, 0) : index + 1][::-1]
        weights = step_weights(nodes, levels[index], levels[index + 1])
        x = x + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
        yield Step(index, sigmas[index + 1], x, denoised)


def step_weights(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """The integrals over start … end of the Lagrange polynomials of up to four nodes.

    Gauss and Legendre's two points integrate cubics exactly.
    """
    middle, reach = (start + end) / 2, (end - start) / 2
    places = [middle - reach / math.sqrt(3), middle + reach / math.sqrt(3)]
    return [
        reach
        * sum(math.prod((p - other) / (node - other) for other in nodes if other != node) for p in places)
        for node in nodes
    ]
