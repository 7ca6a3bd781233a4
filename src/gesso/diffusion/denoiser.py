"""A network's epsilon- or v-output -> an estimate of the clean latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from gesso.config import Prediction
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import Rounding


class Network(Protocol):
    """(latents (b, c, h, w), timesteps (b,) float32, context (b, n, d)) -> model output (b, 4, h, w)."""

    def __call__(self, latents: Tensor, timesteps: Tensor, context: Tensor, /) -> Tensor: ...


ROUNDINGS: dict[Rounding, Callable[[Tensor], Tensor]] = {
    "none": lambda timestep: timestep,
    "nearest": torch.round,
    # Strictly below: where Diffusers cuts timesteps off, its noisiest is a hair under T−1 and becomes T−2.
    "below": lambda timestep: (timestep.ceil() - 1).clamp(min=0),
}


@dataclass(frozen=True)
class Denoiser:
    """Reads a network as ``denoised(x, σ)`` (Karras et al. 2022, equation 7 and table 1, column VP).

    For v, see Salimans and Ho 2022, appendix D. The network computes in the context's dtype; everything
    around it in that of ``x``.

    Attributes:
        network: what was trained.
        noise_schedule: the one it was trained with.
        prediction: what it was trained to output: "epsilon" (the noise) or "v".
        rounding: of the timesteps it is told, for samplers that ask for whole ones (see `Plan`).
    """

    network: Network
    noise_schedule: NoiseSchedule
    prediction: Prediction = "epsilon"
    rounding: Rounding = "none"

    def rounded(self, rounding: Rounding) -> Denoiser:
        """The same denoiser with timesteps rounded in this way."""
        return replace(self, rounding=rounding)

    def clean_share(self, sigma: Tensor) -> Tensor:
        """() how much of ``x`` the estimate starts from, before the model output has its say (c_skip)."""
        return 1 / (sigma**2 + 1) if self.prediction == "v" else torch.ones_like(sigma)

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        """Estimate the clean latents in ``x = latents + σ · noise``.

        Args:
            x: (b, 4, h, w) noisy latents.
            sigma: () their noise level.
            context: (b, n, d) one per picture.

        Returns:
            (b, 4, h, w) the estimate, in the dtype of ``x``.
        """
        timestep = ROUNDINGS[self.rounding](self.noise_schedule.timestep(sigma))
        timesteps = torch.full((len(x),), float(timestep), dtype=torch.float32, device=x.device)  # (b,)
        scale = (sigma**2 + 1) ** 0.5
        model_output = self.network((x / scale).to(context.dtype), timesteps, context).to(x.dtype)
        if self.prediction == "v":
            return x / scale**2 - model_output * (sigma / scale)
        return x - model_output * sigma
