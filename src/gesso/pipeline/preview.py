"""What a picture in the making looks like, at next to no cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad, pixel_shuffle, pixel_unshuffle, unfold

from gesso.config import SD15, AutoencoderConfig
from gesso.diffusion.samplers import Step
from gesso.errors import WrongKindError
from gesso.pipeline.images import to_pil
from gesso.weights.tiny_decoder import load_tiny_decoder

Decode = Callable[[Tensor], Tensor]
"""Latents (b, 4, h, w) -> image (b, 3, height, width), about in [-1, 1]."""

SD1_COLOURS = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)
"""Red, green and blue of each of the four latent channels of Stable Diffusion 1.x (keturn 2022, "Decoding
latents to RGB without upscaling", discuss.huggingface.co/t/23204), fitted to pictures and their latents."""

NEIGHBOURHOOD = 3
SAMPLES, SIDE = 8, 8
SCALES = (1, 2, 4, 8)
RIDGE = 1e-2
"""Keeps a fit from reading much into directions in which the samples hardly differ."""


class Previewer:
    """Estimates of clean latents (b, 4, h/8, w/8) -> b PIL pictures, at most h × w.

    Args:
        make: makes the decoder, when the first picture is asked for.
    """

    def __init__(self, make: Callable[[], Decode]) -> None:
        self._decoder = cache(make)

    @torch.inference_mode()
    def __call__(self, denoised: Tensor) -> list[Image.Image]:
        finite = denoised.nan_to_num(0, 0, 0)  # what is broken is refused when it is decoded
        image = self._decoder()(finite)
        return to_pil(image.float().nan_to_num(0, 0, 0))


@dataclass(frozen=True, eq=False)
class DrawingStep(Step):
    """A step of a pipeline's walk, which can be looked at."""

    previewer: Previewer

    def preview(self) -> list[Image.Image]:
        """The estimate of the clean pictures, b PIL pictures; a linear map of the latents.

        It shows colours and shapes, and costs about a thousandth of a step. For Stable Diffusion 1.x they
        are an eighth as wide and high as the finished pictures, for other autoencoders as large as those.
        """
        return self.previewer(self.denoised)


def linear_previewer(config: AutoencoderConfig, decode: Decode) -> Previewer:
    """Colours and shapes at once, by a linear map of the latents (see `linear_decoder`)."""
    return Previewer(lambda: linear_decoder(config, decode))


def tiny_previewer(path: str | Path, config: AutoencoderConfig, device: torch.device) -> Previewer:
    """Detail as well, by a tiny decoder from its file.

    Raises:
        CheckpointError: the file is not readable, or no decoder of these latents.
    """
    if not reads_sd1(config):
        raise WrongKindError(
            "is a decoder of Stable Diffusion 1.x's latents, and this model has others",
            "Leave it out: a linear map is made for this model.",
            where=str(path),
        )
    decoder = load_tiny_decoder(path).to(device)
    return Previewer(lambda: lambda latents: decoder(latents.float()))


@dataclass(frozen=True, eq=False)
class LinearDecoder:
    """Each pixel is an affine function of the latents around it.

    Attributes:
        weight: (3·s², 4, n, n): s × s pixels a latent pixel, of its n × n neighbourhood.
        bias: (3·s²,).
        scale: s.
    """

    weight: Tensor
    bias: Tensor
    scale: int

    def __call__(self, latents: Tensor) -> Tensor:
        margin = self.weight.shape[-1] // 2
        padded = pad(latents.float(), (margin,) * 4, mode="replicate") if margin else latents.float()
        weight, bias = self.weight.to(latents.device), self.bias.to(latents.device)
        return pixel_shuffle(conv2d(padded, weight, bias), self.scale)  # (b, 3, s·h, s·w)


def linear_decoder(config: AutoencoderConfig, decode: Decode) -> LinearDecoder:
    """The published factors for Stable Diffusion 1.x's latents; for others, what fits their decoder."""
    if reads_sd1(config):
        return LinearDecoder(torch.tensor(SD1_COLOURS).T[:, :, None, None], torch.zeros(3), 1)
    return fit(decode, config.latent_channels, config.downscale)


def reads_sd1(config: AutoencoderConfig) -> bool:
    """Whether latents are those of Stable Diffusion 1.x, which fine-tuned autoencoders share."""
    sd1 = SD15.autoencoder
    return all(
        getattr(config, name) == getattr(sd1, name)
        for name in ("latent_channels", "downscale", "scaling_factor")
    )


def fit(decode: Decode, channels: int, scale: int) -> LinearDecoder:
    """By least squares on what the decoder makes of a few latents that were drawn at random.

    They are noise at several scales, flat and busy as latents of pictures are; of white noise alone, a
    decoder makes nothing like a picture.
    """
    random = torch.Generator().manual_seed(0)
    latents = torch.zeros(SAMPLES, channels, SIDE, SIDE)
    for side in SCALES:
        coarse = torch.randn(SAMPLES, channels, side, side, generator=random)
        latents += interpolate(coarse, (SIDE, SIDE)) / len(SCALES) ** 0.5  # of unit variance in all
    image = decode(latents).float().cpu().clamp(-1, 1)
    padded = pad(latents, (NEIGHBOURHOOD // 2,) * 4, mode="replicate")
    read = unfold(padded, NEIGHBOURHOOD).transpose(1, 2).flatten(0, 1).double()  # (pixels, channels·n²)
    read = torch.cat([read, torch.ones(len(read), 1)], dim=1)
    wanted = pixel_unshuffle(image, scale).flatten(2).transpose(1, 2).flatten(0, 1).double()
    ridge = RIDGE * len(read) * torch.eye(read.shape[1])
    solution = torch.linalg.solve(read.T @ read + ridge, read.T @ wanted).float()  # (channels·n² + 1, 3·s²)
    weight = solution[:-1].T.unflatten(1, (channels, NEIGHBOURHOOD, NEIGHBOURHOOD))
    return LinearDecoder(weight.contiguous(), solution[-1].contiguous(), scale)
