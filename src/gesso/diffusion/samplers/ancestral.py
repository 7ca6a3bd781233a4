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
    ratio = sigma_next / sigma
    sigma_up = eta * ratio * ((sigma - sigma_next) * (sigma + sigma_next)).sqrt()
    # √(sigma_next² − sigma_up²), which would lose a small sigma_down in rounding:
    sigma_down = sigma_next * (1 - eta**2 + eta**2 * ratio**2).sqrt()
    return sigma_down, sigma_up
