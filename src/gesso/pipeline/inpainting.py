"""Inpainting: a walk on which the latents outside a mask are known.

With any model, what is known replaces what was found there at every step (Lugmayr et al. 2022, "RePaint",
equation 8, with the same noise throughout). Models made for it see the mask and the rest of the picture as
five more channels (Rombach et al. 2022, §4.5), and are let go their way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import Plan
from gesso.diffusion.samplers import Denoise, Step
from gesso.pipeline.canvas import Canvas
from gesso.pipeline.image_to_image import Encode
from gesso.pipeline.images import from_pil
from gesso.pipeline.start import Start


@dataclass(frozen=True, eq=False)
class Blended(Start):
    """Outside the mask, ``x`` is always the picture with its noise, and the estimate the picture.

    Attributes:
        mask: (1, 1, h, w) 1 where it is repainted, else 0.
        original: (b, 4, h, w) latents of the picture.
        noise: (b, 4, h, w) over them.
        sigmas: the walk's.
    """

    mask: Tensor
    original: Tensor
    noise: Tensor
    sigmas: Tensor

    def keep(self, denoise: Denoise) -> Denoise:
        def kept(x: Tensor, sigma: Tensor) -> Tensor:
            if sigma < self.sigmas[0]:  # at full strength the first look is at noise alone, as in Diffusers
                x = self.blend(x, self.original + sigma * self.noise)
            return self.blend(denoise(x, sigma), self.original)

        return kept

    def settle(self, steps: Iterator[Step]) -> Iterator[Step]:
        for step in steps:
            if step.sigma > self.sigmas[-1]:
                known = self.original + step.sigma * self.noise
            else:  # the end: the finished latents are the picture's own
                known = self.original * (step.sigma**2 + 1) ** 0.5
            yield replace(step, x=self.blend(step.x, known))

    def blend(self, found: Tensor, known: Tensor) -> Tensor:
        return torch.where(self.mask > 0, found, known)


@dataclass(frozen=True, eq=False)
class Told(Start):
    """The network is told what is masked, and what is around it.

    Attributes:
        mask: (1, 1, h, w) 1 where it is repainted, else 0.
        surroundings: (b, 4, h, w) latents of the picture, grey where it is masked.
    """

    mask: Tensor
    surroundings: Tensor

    def tell(self, denoiser: Denoiser) -> Denoiser:
        network = denoiser.network
        mask = self.mask.expand(len(self.surroundings), -1, -1, -1)
        known = torch.cat([mask, self.surroundings], dim=1)  # (b, 5, h, w)

        def told(latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
            times = len(latents) // len(known)  # guidance repeats the batch as a whole
            seen = torch.cat([latents, known.repeat(times, 1, 1, 1).to(latents.dtype)], dim=1)
            return network(seen, timesteps, context)

        return replace(denoiser, network=told)


def start_over_mask(
    canvas: Canvas,
    encode: Encode,
    plan: Plan,
    noise: NoiseSource,
    starting_noise: Callable[[], Tensor],
    *,
    strength: float,
    made_for_it: bool,
) -> Start:
    """Begin where the canvas is masked.

    The draws come in the order of Diffusers' ``StableDiffusionInpaintPipeline``: the picture's latents from
    their posterior, unless they are not needed; the noise; and the surroundings' latents, which are drawn,
    though not used, for models that are not made for it.

    Args:
        strength: at 1, the walk begins at noise alone.
        made_for_it: whether the model reads the mask.
    """
    image = from_pil(canvas.image)  # (1, 3, h, w)
    pixels = mask_of(canvas)  # (1, 1, h, w)
    original = None if made_for_it and strength == 1 else encode(image, noise.posterior())
    over = starting_noise()  # (b, 4, h/8, w/8)
    x = over * plan.starting_scale
    if strength < 1 and original is not None:
        x = original + plan.sigmas[0] * over
    posterior_noise = noise.posterior()
    mask = shrink(pixels, image.shape[-1] // over.shape[-1]).to(over.device)
    if made_for_it:
        return Told(x, mask, encode(image * (1 - pixels), posterior_noise))
    assert original is not None
    return Blended(x, mask, original, over, plan.sigmas)


def mask_of(canvas: Canvas) -> Tensor:
    """(1, 1, h, w) 1 where the canvas is repainted, else 0."""
    assert canvas.drawn_mask is not None
    return torch.from_numpy(np.asarray(canvas.drawn_mask) > 0).float()[None, None]


def shrink(mask: Tensor, factor: int) -> Tensor:
    """(1, 1, h, w) -> (1, 1, h/factor, w/factor): the first pixel of each square speaks for it.

    That is Diffusers' rule. Where a mask is so fine that it leaves nothing, any pixel does.
    """
    first = mask[..., ::factor, ::factor]
    return first if first.any() else torch.nn.functional.max_pool2d(mask, factor)
