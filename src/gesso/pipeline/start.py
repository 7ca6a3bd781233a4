"""Where a walk begins, and what a task asks of the steps on its way: nothing, for pictures from text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.samplers import Denoise, Step


@dataclass(frozen=True, eq=False)
class Start:
    """A walk that begins at ``x`` and goes where the sampler leads.

    Attributes:
        x: (b, 4, h, w) latents + σ · noise, at the plan's first sigma.
    """

    x: Tensor

    def tell(self, denoiser: Denoiser) -> Denoiser:
        """What the network sees besides the latents."""
        return denoiser

    def keep(self, denoise: Denoise) -> Denoise:
        """What of the estimates is decided already."""
        return denoise

    def settle(self, steps: Iterator[Step]) -> Iterator[Step]:
        """What of the latents is decided already."""
        return steps
