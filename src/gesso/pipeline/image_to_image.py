"""Image to image: a walk that begins part of the way down, at a picture with noise over it.

Meng et al. 2022, "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations".
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import Plan
from gesso.pipeline.canvas import Canvas
from gesso.pipeline.images import from_pil
from gesso.pipeline.start import Start

Encode = Callable[[Tensor, Tensor], Tensor]
"""(image (1 or b, 3, h, w), noise (b, 4, h/8, w/8)) -> latents drawn from its posterior, as the noise."""


def start_from_image(
    canvas: Canvas, encode: Encode, plan: Plan, noise: NoiseSource, starting_noise: Callable[[], Tensor]
) -> Start:
    """Begin at the canvas' picture.

    The draws come in the order of Diffusers' ``StableDiffusionImg2ImgPipeline``: first the picture's
    latents from their posterior, then the noise over them.
    """
    latents = encode(from_pil(canvas.image), noise.posterior())
    return start_from_latents(latents, plan, starting_noise())


def start_from_latents(latents: Tensor, plan: Plan, noise: Tensor) -> Start:
    """Begin at clean latents, (b, 4, h, w), with noise over them."""
    return Start(latents + plan.sigmas[0] * noise)
