"""How a request's steps are guided: by which views of the network, and how far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from gesso.diffusion.denoiser import Denoiser, Network
from gesso.diffusion.guidance import PerturbedAttention, guide
from gesso.diffusion.samplers import Denoise
from gesso.diffusion.self_attention import SelfAttention
from gesso.engine.deep_cache import DeepCache
from gesso.engine.token_merging import merging_tokens
from gesso.engine.watched import Watch, watched
from gesso.models.unet import UNet
from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.self_attention import listening, perturbed


def steer(
    request: ResolvedRequest,
    unet: UNet,
    weights: Sequence[float],
    read: Callable[[Network], Denoiser],
    watch: Watch | None = None,
) -> Callable[[Tensor], Denoise]:
    """What binds a context to a walk's denoiser, as `guide` does.

    Args:
        unet: stays as it is.
        weights: of the prompts that are drawn together.
        read: how its output is understood, and that of its views.
        watch: told what the prompts' cross-attentions read, but not those of other views.
    """

    def asked(network: UNet) -> Denoiser:
        """One that is asked about other latents, or otherwise, keeps deep layers of its own."""
        network = merging_tokens(network, request.token_merging)
        return read(DeepCache(network, request.deep_cache) if request.deep_cache > 1 else network)

    self_attention = perturbed_attention = None
    first = unet
    if request.sag_scale > 0:
        first, attention = listening(unet)
        around = request.tiling in ("x", "both"), request.tiling in ("y", "both")
        self_attention = SelfAttention(asked(unet), attention, request.sag_scale, around)
    if watch is not None:
        first = watched(first, watch)
    if request.pag_scale > 0:
        perturbed_attention = PerturbedAttention(
            asked(perturbed(unet, request.pag_layers)), request.pag_scale
        )
    return partial(
        guide,
        asked(first),
        guidance_scale=request.guidance_scale,
        weights=weights,
        rescale=request.guidance_rescale,
        interval=request.guidance_interval,
        perturbed_attention=perturbed_attention,
        self_attention=self_attention,
    )
