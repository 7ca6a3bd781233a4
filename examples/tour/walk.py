"""A walk from noise to latents, put together from gesso's parts: what `Pipeline.stream` does, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from gesso.diffusion.guidance import guide, needs_negative, pair_contexts
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS, Denoise, Step
from gesso.diffusion.spacing import SCHEDULES
from gesso.models.unet import UNet
from gesso.pipeline.pipeline import Pipeline
from gesso.text.conditioning import encode_prompts

SEED = 7
STEPS = 20


def contexts(pipe: Pipeline, prompt: str) -> tuple[Tensor, Tensor]:
    """What cross-attention reads of a prompt, and of the empty one: (1, n, d) each."""
    length = pipe.config.text_encoder.max_length
    context, empty = encode_prompts(
        pipe.text_encoder, pipe.tokenizer, [prompt, ""], max_length=length
    ).split(1)
    return context, empty


def denoiser(
    pipe: Pipeline, prompt: str, guidance_scale: float | None = None, unet: UNet | None = None
) -> Denoise:
    """The function (x, σ) -> denoised that samplers walk with.

    Args:
        guidance_scale: None is the model's own.
        unet: asked in place of the pipeline's.
    """
    pipe.before_use()
    scale = pipe.config.guidance_scale if guidance_scale is None else guidance_scale
    context, empty = contexts(pipe, prompt)
    told = pair_contexts(context, empty) if needs_negative(scale) else context
    return guide(replace(pipe.denoiser, network=unet or pipe.unet), told, scale)


def sigmas(pipe: Pipeline, steps: int) -> Tensor:
    """(steps + 1,) the noise levels of Karras et al.'s schedule, from the largest to 0."""
    return make_plan(SAMPLERS["euler"], SCHEDULES["karras"], pipe.noise_schedule, steps).sigmas


def walk(
    pipe: Pipeline, denoise: Denoise, steps: int = STEPS, *, sampler: str = "euler", seed: int = SEED
) -> list[Step]:
    """All steps of a sampler's walk from a seed's noise."""
    noise, x = start(pipe, seed)
    levels = sigmas(pipe, steps)
    return list(SAMPLERS[sampler].function(denoise, x * levels[0], levels, noise))


class Moment(NamedTuple):
    """Latents x (b, c, h, w), and () their noise level."""

    x: Tensor
    sigma: Tensor


def moments(pipe: Pipeline, walked: Sequence[Step], seed: int = SEED) -> list[Moment]:
    """What the network was asked about: where each step of a walk set out."""
    levels = sigmas(pipe, len(walked))
    _, noise = start(pipe, seed)
    set_out = [noise * levels[0], *(step.x for step in walked[:-1])]
    return [Moment(*each) for each in zip(set_out, levels[:-1], strict=True)]


def start(pipe: Pipeline, seed: int = SEED) -> tuple[NoiseSource, Tensor]:
    """What draws a seed's noise, and its first draw (1, c, h, w), of unit variance."""
    side = pipe.config.unet.sample_size
    noise = NoiseSource([seed], (pipe.config.autoencoder.latent_channels, side, side), device=pipe.device)
    return noise, noise.start()
