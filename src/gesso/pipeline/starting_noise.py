"""The noise a walk begins with: the seed's own, that of another size, or varied by another seed's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.variation import centred, slerp
from gesso.pipeline.request import ResolvedRequest


def starting_noise(
    request: ResolvedRequest, noise: NoiseSource, source: Callable[[ResolvedRequest], NoiseSource]
) -> Tensor:
    """(b, 4, h/8, w/8) of unit variance.

    Args:
        noise: the batch's; its next draw is taken.
        source: makes one for another request.
    """
    own = noise.start()
    if request.variation_strength == 0 and request.seed_resize is None:
        return own
    width, height = request.seed_resize or (request.width, request.height)
    other = replace(request, width=width, height=height, seed_resize=None)
    drawn = own if request.seed_resize is None else source(other).start()
    if request.variation_strength > 0:
        assert request.variation_seed is not None  # resolved
        varying = replace(other, seed=request.variation_seed, variation_strength=0.0)
        drawn = slerp(drawn, source(varying).start(), request.variation_strength)
    return centred(drawn, own)
