"""Seeded noise, one generator per picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from gesso.diffusion.brownian import BrownianTree
from gesso.diffusion.philox import PhiloxGenerator
from gesso.errors import RequestError

MAX_SEED = 2**64 - 1


class Generator(Protocol):
    """A stream of noise that a seed decides."""

    def __init__(self, seed: int) -> None: ...

    def normal(self, shape: Sequence[int], index: int = 0) -> Tensor:
        """The next draw, float32; ``index`` says which picture of a batch that is drawn as one tensor."""
        ...


class TorchGenerator:
    """PyTorch's own on the CPU."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator("cpu").manual_seed(seed)

    def normal(self, shape: Sequence[int], index: int = 0) -> Tensor:
        pictures = (index + 1) * shape[0]
        return torch.randn((pictures, *shape[1:]), generator=self._generator)[index * shape[0] :]


GENERATORS: dict[str, tuple[type[Generator], type[Generator]]] = {
    "cpu": (TorchGenerator, TorchGenerator),
    "cuda": (PhiloxGenerator, PhiloxGenerator),
    "cpu_then_cuda": (TorchGenerator, PhiloxGenerator),
}
"""What the start and Brownian motions are drawn from; and what the steps are, anew where it is another."""


class NoiseSource:
    """All the noise of a batch, each picture's from its own generator on the CPU.

    So a picture is the same alone or in a batch, on a CPU or a GPU, and the same as Diffusers'
    given ``torch.Generator("cpu").manual_seed(seed)``.

    Args:
        seeds: one per picture, 0 … 2⁶⁴−1.
        shape: of one picture's latents, (4, h/8, w/8).
        device: where the noise is moved to.
        dtype: what the float32 noise is cast to.
        source: a name of `GENERATORS`.
        eta_seed_delta: if not 0, what is drawn after the start comes from new generators of seed + this.
        batch_index: the first picture's place in a batch that one generator draws as one tensor; those of
            the others follow it. None is a tensor a picture.
        draws_posterior: whether pictures are encoded with noise, or as their posterior's mean.

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
        source: str = "cpu",
        eta_seed_delta: int = 0,
        batch_index: int | None = None,
        draws_posterior: bool = True,
    ) -> None:
        for seed in seeds:
            if not 0 <= seed <= MAX_SEED:
                raise RequestError(
                    f"{seed} is outside 0…{MAX_SEED}",
                    "Use a whole number of at most 64 bits.",
                    where="seed",
                )
        self._seeds = list(seeds)
        self._kind, self._kind_of_steps = GENERATORS[source]
        self._eta_seed_delta = eta_seed_delta
        self._places = [0 if batch_index is None else batch_index + i for i in range(len(seeds))]
        self._draws_posterior = draws_posterior
        self._generators = [self._kind(seed) for seed in seeds]
        self._shape = (1, *shape)
        self._device = device
        self._dtype = dtype

    def __call__(self) -> Tensor:
        """The next draw, (b, 4, h/8, w/8), of unit variance."""
        pairs = zip(self._generators, self._places, strict=True)
        draws = [generator.normal(self._shape, place) for generator, place in pairs]
        return torch.cat(draws).to(self._device, self._dtype)

    def posterior(self) -> Tensor:
        """(b, 4, h/8, w/8) what a picture's latents are drawn with: the next draw, or zeros: the mean."""
        if self._draws_posterior:
            return self()
        shape = (len(self._seeds), *self._shape[1:])
        return torch.zeros(shape, device=self._device, dtype=self._dtype)

    def brownian(self, low: float, high: float) -> Callable[[Tensor, Tensor], Tensor]:
        """Noise between two noise levels, from one Brownian motion a picture over low … high.

        Each picture's motion has its seed and depends neither on the batch nor on what is asked of it; it
        takes nothing from the draws of the others. It is k-diffusion's ``BrownianTreeNoiseSampler``.

        Returns:
            The function (sigma, sigma_next) -> (b, 4, h/8, w/8) of unit variance. Overlapping intervals
            have noise in common, as the increments of one motion do.
        """
        trees = [
            BrownianTree(low, high, seed, partial(self._first, place))
            for seed, place in zip(self._seeds, self._places, strict=True)
        ]

        def between(sigma: Tensor, sigma_next: Tensor) -> Tensor:
            increments = torch.cat([tree.increment(float(sigma), float(sigma_next)) for tree in trees])
            scaled = increments / abs(float(sigma) - float(sigma_next)) ** 0.5
            return scaled.float().to(self._device, self._dtype)

        return between

    def _first(self, place: int, seed: int) -> Tensor:
        return self._kind(seed).normal(self._shape, place)

    def start(self) -> Tensor:
        """The first draw, which a picture from text starts at once a `Plan` has scaled it."""
        noise = self()
        if self._eta_seed_delta or self._kind_of_steps is not self._kind:
            seeds = [(seed + self._eta_seed_delta) % (MAX_SEED + 1) for seed in self._seeds]
            self._generators = [self._kind_of_steps(seed) for seed in seeds]
        return noise
