"""Seeded noise, one generator per picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gesso.diffusion.brownian import BrownianTree
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
        self._seeds = list(seeds)
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._shape = (1, *shape)
        self._device = device
        self._dtype = dtype

    def __call__(self) -> Tensor:
        """The next draw, (b, 4, h/8, w/8), of unit variance."""
        draws = [torch.randn(self._shape, generator=generator) for generator in self._generators]
        return torch.cat(draws).to(self._device, self._dtype)

    def brownian(self, low: float, high: float) -> Callable[[Tensor, Tensor], Tensor]:
        """Noise between two noise levels, from one Brownian motion a picture over low … high.

        Each picture's motion has its seed and depends neither on the batch nor on what is asked of it; it
        takes nothing from the draws of the others. It is k-diffusion's ``BrownianTreeNoiseSampler``.

        Returns:
            The function (sigma, sigma_next) -> (b, 4, h/8, w/8) of unit variance. Overlapping intervals
            have noise in common, as the increments of one motion do.
        """
        trees = [BrownianTree(low, high, seed, self._draw) for seed in self._seeds]

        def between(sigma: Tensor, sigma_next: Tensor) -> Tensor:
            increments = torch.cat([tree.increment(float(sigma), float(sigma_next)) for tree in trees])
            scaled = increments / abs(float(sigma) - float(sigma_next)) ** 0.5
            return scaled.float().to(self._device, self._dtype)

        return between

    def _draw(self, seed: int) -> Tensor:
        return torch.randn(self._shape, generator=torch.Generator("cpu").manual_seed(seed))

    def start(self) -> Tensor:
        """The first draw, which a picture from text starts at once a `Plan` has scaled it."""
        return self()
