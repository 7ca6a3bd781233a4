"""The normal numbers ``torch.randn`` draws on an NVIDIA GPU, computed on the CPU.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", section
3.3): a function of a counter and a key, so that each number can be had without those before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
"""M of Philox4x32: what the first and the third word of the counter are multiplied with in a round."""

WEYL = 0x9E3779B9, 0xBB67AE85
"""What the words of the key grow by from round to round: parts of the golden ratio and of √3."""

ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
TO_UNIT = 2.0**-32

Words = npt.NDArray[np.uint64]
"""Words of 32 bits, each in 64, where products of two have room."""


class PhiloxGenerator:
    """Draws what ``torch.randn(shape, device="cuda")`` does after a seed, up to rounding.

    On a GPU each value has a thread, and each thread a stream of numbers of which a draw takes the next. A
    tensor of more values than the GPU has threads at a time (43,008 on an RTX 3060, the latents of 0.69
    megapixels; 270,336 on an H100) begins with the first thread again, and has other numbers there. Here it
    never does, as in AUTOMATIC1111's "NV".

    Args:
        seed: 0 … 2⁶⁴−1.
    """

    def __init__(self, seed: int) -> None:
        self._key = seed & int(LOW), seed >> int(WORD)
        self._draws = 0

    def normal(self, shape: Sequence[int], index: int = 0) -> Tensor:
        """The next draw, float32 of unit variance.

        Args:
            shape: of a picture's noise.
            index: which picture of a batch that is drawn as one tensor.
        """
        values = math.prod(shape)
        threads = np.arange(index * values, (index + 1) * values, dtype=np.uint64)
        draw = np.full_like(threads, self._draws)
        zeros = np.zeros_like(threads)
        self._draws += 1
        first, second, _, _ = philox((draw, zeros, threads & LOW, threads >> WORD), self._key)
        return torch.from_numpy(box_muller(first, second)).reshape(tuple(shape))


def philox(
    counter: tuple[Words, Words, Words, Words], key: tuple[int, int]
) -> tuple[Words, Words, Words, Words]:
    """Philox4x32-10: four words of the counter and two of the key -> four random words."""
    a, b, c, d = counter
    left, right = key
    for _ in range(ROUNDS):
        one, two = a * np.uint64(MULTIPLIERS[0]), c * np.uint64(MULTIPLIERS[1])
        a, b = (two >> WORD) ^ b ^ np.uint64(left), two & LOW
        c, d = (one >> WORD) ^ d ^ np.uint64(right), one & LOW
        left, right = (left + WEYL[0]) & int(LOW), (right + WEYL[1]) & int(LOW)
    return a, b, c, d


def box_muller(first: Words, second: Words) -> npt.NDArray[Any]:
    """Two random words -> a normal number in float32 (Box and Muller 1958; the first of cuRAND's two)."""
    radius = np.sqrt(-2 * np.log((first + 0.5) * TO_UNIT))
    angle = 2 * np.pi * (second + 0.5) * TO_UNIT
    return (radius * np.sin(angle)).astype(np.float32)
