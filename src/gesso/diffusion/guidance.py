"""Classifier-free guidance: the only place that knows in which order a batch holds its contexts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.samplers.step import Denoise


def needs_negative(guidance_scale: float, weights: Sequence[float] = (1.0,)) -> bool:
    """Whether `guide` asks for the negative context at all: at scale 1 and with one prompt it cancels."""
    return guidance_scale != 1 or tuple(weights) != (1.0,)


def pair_contexts(context: Tensor, negative_context: Tensor) -> Tensor:
    """What `guide` reads: (k·b, n, d) and (b, n, d) -> ((1 + k)·b, n, d), the negative ones first.

    Of k prompts joined by AND, the b contexts of the first come before those of the second, and so on.
    """
    return torch.cat([negative_context, context])


def guide(
    denoiser: Denoiser, context: Tensor, guidance_scale: float, weights: Sequence[float] = (1.0,)
) -> Denoise:
    """Bind context and guidance to a denoiser: ``negative + Σ weightᵢ · scale · (positiveᵢ − negative)``.

    With one prompt of weight 1 it is Ho and Salimans 2022, equation 6, on the denoised latents, which are
    affine in the model output; with several, Liu et al. 2022 (Composable Diffusion), equation 11.

    Args:
        denoiser: reads (x, σ, context).
        context: ((1 + k)·b, n, d) from `pair_contexts`; where the negative part is not needed
            (`needs_negative`), it is (b, n, d), the positive ones alone.
        guidance_scale: 1 is none, 0 the negative prompt's picture.
        weights: k, of the prompts that are drawn together; a negative one steers away.

    Returns:
        The function (x, σ) -> denoised that samplers walk with.
    """
    if not needs_negative(guidance_scale, weights):
        return lambda x, sigma: denoiser(x, sigma, context)

    parts = 1 + len(weights)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        negative, *positives = denoiser(torch.cat([x] * parts), sigma, context).chunk(parts)  # (b, 4, h, w)
        denoised = negative
        for weight, positive in zip(weights, positives, strict=True):
            denoised = denoised + weight * guidance_scale * (positive - negative)
        return denoised

    return denoise
