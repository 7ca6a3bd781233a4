"""What samplers are handed and what they yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Denoise(Protocol):
    """(x (b, 4, h, w), sigma ()) -> the estimate of the clean latents (b, 4, h, w)."""

    def __call__(self, x: Tensor, sigma: Tensor, /) -> Tensor: ...


class NoiseBetween(Protocol):
    """(sigma (), sigma_next ()) -> the noise of that stretch of a Brownian motion, of unit variance."""

    def __call__(self, sigma: Tensor, sigma_next: Tensor, /) -> Tensor: ...


class Noise(Protocol):
    """() -> the next noise of unit variance (b, 4, h, w), independent of all before."""

    def __call__(self) -> Tensor: ...

    def brownian(self, low: float, high: float) -> NoiseBetween:
        """The noise of a Brownian motion over the noise levels low … high."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """One step done.

    Attributes:
        index: which, from 0.
        sigma: () the noise level it arrived at.
        x: (b, 4, h, w) latents + sigma · noise.
        denoised: (b, 4, h, w) the estimate of the clean latents it went by: what a preview shows.
    """

    index: int
    sigma: Tensor
    x: Tensor
    denoised: Tensor

    @property
    def latents(self) -> Tensor:
        """``x`` as networks and decoders read it, x / √(1+σ²): of the last step, the finished latents."""
        return self.x / (self.sigma**2 + 1) ** 0.5
