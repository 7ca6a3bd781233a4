"""How a stochastic step divides a noise level between what it keeps and what it draws anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def ancestral_sigmas(sigma: Tensor, sigma_next: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Split a step so that ``sigma_down² + sigma_up² = sigma_next²``.

    With η = 1, ``sigma_up`` is the deviation of q(x_next | x, latents) (Ho et al. 2020, equation 7), and
    with any η it is the σ of Song et al. 2021, equation 16, both divided by √ᾱ of the next timestep.

    Returns:
        sigma_down () to step down to, and sigma_up () of the fresh noise to add there.
    """
    posterior = sigma_next / sigma * ((sigma - sigma_next) * (sigma + sigma_next)).sqrt()
    sigma_up = (eta * posterior).clamp(max=sigma_next)
    return (sigma_next**2 - sigma_up**2).sqrt(), sigma_up
