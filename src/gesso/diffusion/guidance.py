"""Classifier-free guidance: the only place that knows in which order a batch holds its contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.samplers.step import Denoise
from gesso.diffusion.self_attention import SelfAttention


def needs_negative(guidance_scale: float, weights: Sequence[float] = (1.0,)) -> bool:
    """Whether `guide` asks for the negative context at all: at scale 1 and with one prompt it cancels."""
    return guidance_scale != 1 or tuple(weights) != (1.0,)


def pair_contexts(context: Tensor, negative_context: Tensor) -> Tensor:
    """What `guide` reads: (k·b, n, d) and (b, n, d) -> ((1 + k)·b, n, d), the negative ones first.

    Of k prompts joined by AND, the b contexts of the first come before those of the second, and so on.
    """
    return torch.cat([negative_context, context])


def positive_rows(batch: Tensor, count: int) -> Tensor:
    """Of what the network is asked about a batch, the ``count`` = k·b rows of the prompts, in order."""
    return batch[-count:]


@dataclass(frozen=True, eq=False)
class PerturbedAttention:
    """What perturbed-attention guidance takes (Ahn et al. 2024, "Self-Rectifying Diffusion Sampling with
    Perturbed-Attention Guidance").

    Attributes:
        denoiser: reads the same network with self-attentions in which each pixel sees itself alone.
        scale: the paper's s.
    """

    denoiser: Denoiser
    scale: float


def guide(
    denoiser: Denoiser,
    context: Tensor,
    guidance_scale: float,
    weights: Sequence[float] = (1.0,),
    *,
    rescale: float = 0.0,
    interval: tuple[float, float] | None = None,
    perturbed_attention: PerturbedAttention | None = None,
    self_attention: SelfAttention | None = None,
) -> Denoise:
    """Bind context and guidance to a denoiser: ``negative + Σ weightᵢ · scale · (positiveᵢ − negative)``.

    With one prompt of weight 1 it is Ho and Salimans 2022, equation 6, on the denoised latents, which are
    affine in the model output; with several, Liu et al. 2022 (Composable Diffusion), equation 11.
    Perturbed-attention guidance adds ``Σ weightᵢ · scale · (positiveᵢ − perturbedᵢ)``; self-attention
    guidance ``scale · (negative − degraded)``, or the same of the positive where there is no negative.

    Args:
        denoiser: reads (x, σ, context).
        context: ((1 + k)·b, n, d) from `pair_contexts`; where the negative part is not needed
            (`needs_negative`), it is (b, n, d), the positive ones alone.
        guidance_scale: 1 is none, 0 the negative prompt's picture.
        weights: k, of the prompts that are drawn together; a negative one steers away.
        rescale: 0 … 1, how far to bring the guided model output back to the deviation it has at scale 1
            without other guidance.
        interval: guide at σ with low < σ ≤ high only (Kynkäänniemi et al. 2024, equation 5); None is
            everywhere. At other σ the scale is 1, nothing else guides, and with one prompt the network sees
            half as much.
        perturbed_attention: asked once more for each prompt; None is without.
        self_attention: asked once more for each picture; None is without.

    Returns:
        The function (x, σ) -> denoised that samplers walk with.
    """
    paired = needs_negative(guidance_scale, weights)
    if not (paired or perturbed_attention or self_attention):
        return lambda x, sigma: denoiser(x, sigma, context)

    prompts = len(weights)
    parts = prompts + paired
    # Each part of the context is cut out once: what the network keeps of a context goes with that tensor.
    first_context, positive_context = context, context
    if parts > 1:
        pictures = len(context) // parts
        first_context, positive_context = context[:pictures], context[-prompts * pictures :]

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        estimates = denoiser(torch.cat([x] * parts), sigma, context).chunk(parts)  # (b, 4, h, w) each
        first, positives = estimates[0], estimates[-prompts:]
        denoised = compose(first, positives, weights, guidance_scale)
        if self_attention:
            attention = self_attention.attention()[: len(x)]
            direction = self_attention.direction(x, sigma, first, attention, first_context)
            denoised = denoised + self_attention.scale * direction
        if perturbed_attention:
            rows = torch.cat([x] * prompts)
            perturbed = perturbed_attention.denoiser(rows, sigma, positive_context).chunk(prompts)
            for weight, positive, other in zip(weights, positives, perturbed, strict=True):
                denoised = denoised + weight * perturbed_attention.scale * (positive - other)
        if rescale == 0:
            return denoised
        unscaled = compose(first, positives, weights, 1.0)
        return rescaled(denoised, unscaled, denoiser.clean_share(sigma) * x, rescale)

    if interval is None:
        return denoise
    low, high = interval
    unguided = guide(denoiser, context if needs_negative(1.0, weights) else positive_context, 1.0, weights)
    return lambda x, sigma: (denoise if low < sigma <= high else unguided)(x, sigma)


def compose(
    negative: Tensor, positives: Sequence[Tensor], weights: Sequence[float], guidance_scale: float
) -> Tensor:
    """From the negative prompt's estimate towards, and past, those of the others."""
    denoised = negative
    for weight, positive in zip(weights, positives, strict=True):
        denoised = denoised + weight * guidance_scale * (positive - negative)
    return denoised


def rescaled(guided: Tensor, unscaled: Tensor, kept: Tensor, amount: float) -> Tensor:
    """Bring back the deviation that guidance raised (Lin et al. 2024, section 3.4, equations 14 to 16).

    The paper scales model outputs. An estimate is affine in its output, ``kept + factor · output``, so the
    same scale goes to what is left of it without ``kept``, and the factor cancels in the ratio.

    Args:
        guided: (b, 4, h, w) the guided estimate.
        unscaled: likewise, at guidance scale 1.
        kept: likewise, the part of both that is no model output.
        amount: the paper's φ, 0 … 1.
    """
    deviation, target = ((each - kept).std(dim=(1, 2, 3), keepdim=True) for each in (guided, unscaled))
    return kept + (guided - kept) * (amount * target / deviation + 1 - amount)
