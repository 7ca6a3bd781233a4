"""Seeded noise, one generator per picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gesso.errors import RequestError

MAX_SEED = 2**64 - 1


class NoiseSource:
    """All the noise of a batch, each picture's from its own generator on the CPU.

    So a picture is the same alone or in a batch, on a CPU or a GPU, and the same as Diffusers'
    given ``torch.Generator("cpu").manual_seed(seed)``.

    Args:
        seeds: one per picture, 0 … 2⁶⁴−1.
        shape: of one picture's latents, (4, h/8, w/8).
        device: where the noise is moved to.
        dtype: what the float32 noise is cast to.

    Raises:
        RequestError: a seed is out of range.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape: Sequence[int],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        for seed in seeds:
            if not 0 <= seed <= MAX_SEED:
                raise RequestError(
                    f"{seed} is outside 0…{MAX_SEED}",
                    "Use a whole number of at most 64 bits.",
                    where="seed",
                )
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._shape = (1, *shape)
        self._device = device
        self._dtype = dtype

    def __call__(self) -> Tensor:
        """The next draw, (b, 4, h/8, w/8), of unit variance."""
        draws = [torch.randn(self._shape, generator=generator) for generator in self._generators]
        return torch.cat(draws).to(self._device, self._dtype)

    def start(self) -> Tensor:
        """The first draw, which a picture from text starts at once a `Plan` has scaled it."""
        return self()
