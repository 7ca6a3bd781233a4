"""Classifier-free guidance: the only place that knows in which order a batch holds its two contexts."""

from __future__ import annotations

import torch
from torch import Tensor

from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.samplers.step import Denoise


def pair_contexts(context: Tensor, negative_context: Tensor) -> Tensor:
    """What `guide` reads: (b, n, d) and (b, n, d) -> (2b, n, d), the negative ones first."""
    return torch.cat([negative_context, context])


def guide(denoiser: Denoiser, context: Tensor, guidance_scale: float) -> Denoise:
    """Bind context and guidance to a denoiser: ``negative + scale · (positive − negative)``.

    Ho and Salimans 2022, equation 6, on the denoised latents, which are affine in the model output.

    Args:
        denoiser: reads (x, σ, context).
        context: (2b, n, d) from `pair_contexts`; with a guidance scale of 1 the negative half would
            cancel, and it is (b, n, d), the positive ones alone.
        guidance_scale: 1 is none, 0 the negative prompt's picture.

    Returns:
        The function (x, σ) -> denoised that samplers walk with.
    """
    if guidance_scale == 1:
        return lambda x, sigma: denoiser(x, sigma, context)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        negative, positive = denoiser(torch.cat([x, x]), sigma, context).chunk(2)  # 2 × (b, 4, h, w)
        return negative + guidance_scale * (positive - negative)

    return denoise
