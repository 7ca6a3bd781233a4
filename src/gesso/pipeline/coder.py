"""Images to latents and back, one at a time, and again in float32 where half precision overflows."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from gesso.errors import NumericsError
from gesso.models.autoencoder import Autoencoder
from gesso.pipeline.tiling import tiled
from gesso.weights.meta import on_meta

log = logging.getLogger(__name__)


def encode_image(
    autoencoder: Autoencoder, image: Tensor, noise: Tensor, dtype: torch.dtype, tiling: str | None
) -> Tensor:
    """Image (1 or b, 3, h, w) -> latents (b, 4, h/8, w/8) in float32, drawn from its posterior.

    Args:
        noise: standard normal, (b, 4, h/8, w/8).
        dtype: what the autoencoder computes in.
        tiling: see `gesso.pipeline.tiling.tiled`.
    """
    pairs = zip(image.split(1), noise.split(len(noise) // len(image)), strict=True)
    return torch.cat([_encode_one(autoencoder, one, over, dtype, tiling) for one, over in pairs])


def _encode_one(
    autoencoder: Autoencoder, image: Tensor, noise: Tensor, dtype: torch.dtype, tiling: str | None
) -> Tensor:
    latents = tiled(autoencoder, tiling).encode(image.to(dtype), noise)
    if dtype != torch.float32 and not latents.isfinite().all():
        log.info("the autoencoder overflows in %s; encoding in float32", dtype)
        latents = tiled(in_float32(autoencoder, image.device), tiling).encode(image.float(), noise)
    return latents.float()


def decode_latents(
    autoencoder: Autoencoder, latents: Tensor, dtype: torch.dtype, tiling: str | None
) -> Tensor:
    """Latents (1, 4, h/8, w/8) -> image (1, 3, h, w) in float32."""
    image = tiled(autoencoder, tiling).decode(latents.to(dtype))
    if dtype != torch.float32 and not image.isfinite().all():
        log.info("the autoencoder overflows in %s; decoding in float32", dtype)
        image = tiled(in_float32(autoencoder, latents.device), tiling).decode(latents.float())
    return image.float()


def check_latents(latents: Tensor, where: str) -> None:
    """Refuse to decode what is no picture.

    Raises:
        NumericsError: latents are NaN or infinite.
    """
    if not latents.isfinite().all():
        raise NumericsError(
            "the latents are NaN or infinite",
            "Try a lower guidance scale, another sampler, or dtype float32.",
            where=where,
        )


def in_float32(autoencoder: Autoencoder, device: torch.device) -> Autoencoder:
    """A copy in full precision; the one given stays as it is."""
    with on_meta():  # nothing is allocated or initialised twice
        copy = Autoencoder(autoencoder.config)
    weights = {key: tensor.float() for key, tensor in autoencoder.state_dict().items()}
    copy.load_state_dict(weights, assign=True)
    return copy.eval().requires_grad_(False).to(device)
