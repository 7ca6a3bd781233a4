"""Self-attention guidance: away from what the network says where its own attention sees less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from gesso.diffusion.denoiser import Denoiser

BLUR_SIGMA = 1.0
BLUR_RADIUS = 4
"""In latents' pixels, as in Diffusers: its kernel is 9 wide."""

THRESHOLD = 1.0
"""What a pixel receives on average, as every pixel gives 1."""


@dataclass(frozen=True, eq=False)
class SelfAttention:
    """What it takes (Hong et al. 2023, "Improving Sample Quality of Diffusion Models Using Self-Attention
    Guidance", equations 14 to 16 and 25).

    Attributes:
        denoiser: what is asked about degraded latents.
        attention: gives (n, h', w') of the last call of the network that guidance asks first, of n rows:
            how much attention each pixel of the middle block received, 1 on average.
        scale: the paper's s.
        around: whether the latents go on at the opposite side, in x and in y; elsewhere they are mirrored.
    """

    denoiser: Denoiser
    attention: Callable[[], Tensor]
    scale: float
    around: tuple[bool, bool] = (False, False)

    def direction(
        self, x: Tensor, sigma: Tensor, denoised: Tensor, attention: Tensor, context: Tensor
    ) -> Tensor:
        """(b, 4, h, w) what to add to an estimate for each unit of scale.

        The paper subtracts model outputs. An estimate is affine in its output, ``share · x + factor ·
        output``, so what the change of ``x`` itself does to it is taken back.

        Args:
            x: (b, 4, h, w) at noise level ``sigma``.
            denoised: its estimate under this ``context``, (b, n, d).
            attention: (b, h', w') received meanwhile.
        """
        change = degrade(denoised, attention, self.around) - denoised  # the noise in x stays as it is
        degraded = self.denoiser(x + change, sigma, context)
        return denoised - degraded + self.denoiser.clean_share(sigma) * change


def degrade(denoised: Tensor, attention: Tensor, around: tuple[bool, bool]) -> Tensor:
    """Latents (b, c, h, w), blurred where attention (b, h', w') is above average."""
    mask = (attention > THRESHOLD).to(denoised.dtype)[:, None]  # (b, 1, h', w')
    mask = interpolate(mask, size=denoised.shape[-2:], mode="nearest")
    return torch.lerp(denoised, blur(denoised, around), mask)


def blur(x: Tensor, around: tuple[bool, bool]) -> Tensor:
    """(b, c, h, w) through a Gaussian; h and w are 5 or more."""
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x.device)
    kernel = torch.softmax(-0.5 * (offsets / BLUR_SIGMA) ** 2, dim=0).to(x.dtype)
    channels = x.shape[1]
    filters = kernel.expand(channels, 1, 1, -1)  # (c, 1, 1, 9)
    beyond_x, beyond_y = ("circular" if goes_around else "reflect" for goes_around in around)
    x = conv2d(pad(x, (BLUR_RADIUS, BLUR_RADIUS, 0, 0), mode=beyond_x), filters, groups=channels)
    return conv2d(pad(x, (0, 0, BLUR_RADIUS, BLUR_RADIUS), mode=beyond_y), filters.mT, groups=channels)
