"""How training mixed noise in: betas, alphas_cumprod, and sigma ↔ timestep."""

from __future__ import annotations

import torch
from torch import Tensor

from gesso.config import NoiseScheduleConfig

LEAST_SIGNAL = 2.0**-24
"""What stands for ᾱ = 0 at the last timestep, where σ would be infinite: σ is 4096, as in Diffusers."""


class NoiseSchedule:
    """The noise levels a model was trained at.

    All tensors are float32 on the CPU, where a scalar costs no synchronisation with a GPU.

    Attributes:
        alphas_cumprod: (T,) share of the latents' variance left at each timestep, descending.
        sigmas: (T,) noise level of each timestep, √((1−ᾱ)/ᾱ), ascending; 0.0292 … 14.6146 for SD 1.x.
    """

    def __init__(self, config: NoiseScheduleConfig | None = None) -> None:
        config = config or NoiseScheduleConfig()
        start, end = config.beta_start, config.beta_end
        if config.beta_schedule == "scaled_linear":
            betas = torch.linspace(start**0.5, end**0.5, config.steps, dtype=torch.float32) ** 2
        else:
            betas = torch.linspace(start, end, config.steps, dtype=torch.float32)
        self.alphas_cumprod = torch.cumprod(1 - betas, dim=0)
        if config.zero_terminal_snr:
            self.alphas_cumprod = without_terminal_signal(self.alphas_cumprod)
        self.sigmas = ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5
        # In double precision, so that the sigma of a whole timestep maps back to exactly that timestep.
        self._log_sigmas = self.sigmas.double().log()

    @property
    def steps(self) -> int:
        """Number of training timesteps: 1000 for SD 1.x."""
        return len(self.sigmas)

    @property
    def sigma_min(self) -> float:
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.sigmas[-1])

    def sigma(self, timesteps: Tensor) -> Tensor:
        """Noise levels at (fractional) timesteps, interpolated in log σ, in float32."""
        timesteps = timesteps.to("cpu", torch.float64).clamp(0, self.steps - 1)
        low = timesteps.long().clamp(max=self.steps - 2)
        log_sigma = torch.lerp(self._log_sigmas[low], self._log_sigmas[low + 1], timesteps - low)
        return log_sigma.exp().float()

    def timestep(self, sigmas: Tensor) -> Tensor:
        """The inverse of `sigma`: fractional timesteps 0 … T−1 in float32, clamped at both ends."""
        log_sigma = sigmas.to("cpu", torch.float64).log()
        high = torch.searchsorted(self._log_sigmas, log_sigma).clamp(1, self.steps - 1)
        low = high - 1
        gap = self._log_sigmas[high] - self._log_sigmas[low]
        return (low + ((log_sigma - self._log_sigmas[low]) / gap).clamp(0, 1)).float()


def without_terminal_signal(alphas_cumprod: Tensor) -> Tensor:
    """Shift and stretch √ᾱ so that the last is 0 and the first stays (Lin et al. 2024, Algorithm 1)."""
    root = alphas_cumprod.double().sqrt()
    rescaled = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
    return rescaled.clamp(min=LEAST_SIGNAL).float()
