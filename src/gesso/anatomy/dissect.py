"""The anatomy of a whole model: its networks built without weights and run once without numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gesso.anatomy.outline import Outline
from gesso.anatomy.shapes import Shape
from gesso.anatomy.survey import survey
from gesso.config import ModelConfig
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.pipeline.basic_fields import MAX_SIDE
from gesso.pipeline.fields import check_side
from gesso.weights.meta import on_meta


@dataclass(frozen=True)
class Anatomy:
    """The outlines of a model's networks, for one picture of a given size.

    Attributes:
        config: what they were built from.
        width, height: of the picture, in pixels.
        latents_shape, context_shape: what the UNet reads, for one sample.
        text_encoder: of one prompt.
        unet: of one step of one sample (guidance takes two samples a step).
        encoder, decoder: the autoencoder's two ways.
    """

    config: ModelConfig
    width: int
    height: int
    latents_shape: Shape
    context_shape: Shape
    text_encoder: Outline
    unet: Outline
    encoder: Outline
    decoder: Outline

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in (self.text_encoder, self.unet, self.encoder, self.decoder))


def dissect(config: ModelConfig, width: int | None = None, height: int | None = None) -> Anatomy:
    """Read the anatomy of a model.

    Args:
        width, height: of the picture in pixels; the size the model was trained on if None.

    Raises:
        RequestError: a side is not a multiple of the autoencoder's scale, or out of range.
    """
    scale = config.autoencoder.downscale
    width = check_side(config.image_size if width is None else width, "width", scale, MAX_SIDE)
    height = check_side(config.image_size if height is None else height, "height", scale, MAX_SIDE)
    with on_meta():
        text_encoder, unet = TextEncoder(config.text_encoder), UNet(config.unet)
        autoencoder = Autoencoder(config.autoencoder)
        image = torch.empty(1, config.autoencoder.image_channels, height, width)
        latents = torch.empty(1, config.autoencoder.latent_channels, height // scale, width // scale)
        unet_input = torch.empty(1, config.unet.in_channels, *latents.shape[2:])
        tokens = torch.empty(1, config.text_encoder.max_length, dtype=torch.int64)
        context = torch.empty(*tokens.shape, config.unet.context_dim)
    timesteps = torch.zeros(1, device="cpu")  # real, so that their sinusoids cost no detour through meta
    return Anatomy(
        config=config,
        width=width,
        height=height,
        latents_shape=tuple(unet_input.shape[1:]),
        context_shape=tuple(context.shape[1:]),
        text_encoder=survey(text_encoder, lambda: text_encoder(tokens)),
        unet=survey(unet, lambda: unet(unet_input, timesteps, context)),
        encoder=survey(autoencoder, lambda: autoencoder.encode(image)),
        decoder=survey(autoencoder, lambda: autoencoder.decode(latents)),
    )
