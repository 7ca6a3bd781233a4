"""What training minimises."""

from __future__ import annotations

from torch import Tensor

from gesso.models.autoencoder import Posterior

SQUARES = 4.0
"""Weight of the squared error: as much as the absolute one where the two errors are about a quarter."""


def reconstruction_loss(decoded: Tensor, image: Tensor) -> Tensor:
    """Mean absolute error of pixels and of their differences to the neighbours, so that edges stay sharp,
    and the mean squared error of pixels, by which the peak signal-to-noise ratio goes.

    Both (b, 3, h, w) in [-1, 1] -> scalar.
    """
    error = decoded - image
    across, down = error.diff(dim=-1), error.diff(dim=-2)
    return error.abs().mean() + across.abs().mean() + down.abs().mean() + SQUARES * error.square().mean()


def kl_divergence(posterior: Posterior) -> Tensor:
    """Mean over all latents of KL(posterior ‖ standard normal), in nats (Kingma & Welling 2014, eq. 10)."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def v_target(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """v = √ᾱ·noise − √(1−ᾱ)·latents (Salimans & Ho 2022, appendix D). ᾱ broadcasts, (b, 1, 1, 1)."""
    return alphas_cumprod.sqrt() * noise - (1 - alphas_cumprod).sqrt() * latents


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """√ᾱ·latents + √(1−ᾱ)·noise (Ho et al. 2020, eq. 4). ᾱ broadcasts, (b, 1, 1, 1)."""
    return alphas_cumprod.sqrt() * latents + (1 - alphas_cumprod).sqrt() * noise
