"""Station 1: what the autoencoder keeps and loses."""

from __future__ import annotations

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from gesso.pipeline.pipeline import Pipeline

from .scenes import rendered
from .sheet import TILE, Row, heat, mosaic, pictures, sheet
from .shown import Shown, significant

BRIGHTEST_ERROR = 0.25
"""Of the range from black to white, in the map of errors."""

EDGES = 0.1
"""Share of the pixels that count as edges: those that differ most from their neighbours."""

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

LARGE = 224
"""Pixels of a picture's side on the sheets with four columns."""


class Kept(NamedTuple):
    """Images (b, 3, h, w), their latents (b, c, h/f, w/f), and what those are decoded to."""

    images: Tensor
    latents: Tensor
    decoded: Tensor

    @property
    def error(self) -> Tensor:
        """(b, h, w) absolute error as a share of the range from black to white, mean of the colours."""
        return (self.decoded - self.images).abs().mean(1) / 2


def station(pipe: Pipeline) -> Shown:
    kept = there_and_back(pipe, rendered(pipe))
    mixed, faded = mixtures(pipe, kept)
    without = without_channels(pipe, kept.latents[:1])
    damage = distance(without, kept.decoded[:1])
    shown = {
        "autoencoder": _there_and_back_sheet(kept),
        "autoencoder-mixed": sheet(
            [Row("latents mixed, then decoded", pictures(mixed)), Row("pixels mixed", pictures(faded))],
            [f"{1 - share:.0%} / {share:.0%}" for share in SHARES],
            tile=160,
        ),
        "autoencoder-channels": _channel_sheet(without, damage),
    }
    house, mushroom = psnr(kept.images, kept.decoded).tolist()
    middle = len(SHARES) // 2
    deviations = kept.latents.std(dim=(0, 2, 3)).tolist()
    return Shown(
        shown,
        {
            "image_values": kept.images[0].numel(),
            "latent_values": kept.latents[0].numel(),
            "fewer": significant(kept.images[0].numel() / kept.latents[0].numel()),
            "channels": kept.latents.shape[1],
            "downscale": pipe.config.autoencoder.downscale,
            "psnr_house": significant(house),
            "psnr_mushroom": significant(mushroom),
            "deviation": significant(kept.latents.std().item()),
            "error_at_edges": significant(share_at_edges(kept)),
            "mixed_distance": significant(distance(mixed, faded)[middle].item()),
            **{f"without_{channel}": significant(moved) for channel, moved in enumerate(damage.tolist())},
            **{f"deviation_{channel}": significant(each) for channel, each in enumerate(deviations)},
        },
    )


def there_and_back(pipe: Pipeline, images: Tensor) -> Kept:
    """Encode images to the mean of their posterior, and decode that."""
    latents = pipe.autoencoder.encode(images)
    return Kept(images, latents, pipe.autoencoder.decode(latents).clamp(-1, 1))


def mixtures(pipe: Pipeline, kept: Kept) -> tuple[Tensor, Tensor]:
    """From the first picture to the second: mixed as latents and decoded, and mixed as pixels.

    Returns:
        (len(SHARES), 3, h, w) each.
    """
    share = torch.tensor(SHARES)[:, None, None, None]
    decoded = pipe.autoencoder.decode(torch.lerp(kept.latents[:1], kept.latents[1:2], share))
    return decoded.clamp(-1, 1), torch.lerp(kept.decoded[:1], kept.decoded[1:2], share)


def without_channels(pipe: Pipeline, latents: Tensor) -> Tensor:
    """Latents (1, c, h, w) -> (c, 3, ·, ·): decoded c times, each time with another channel set to 0."""
    channels = latents.shape[1]
    return pipe.autoencoder.decode(latents * (1 - torch.eye(channels))[:, :, None, None]).clamp(-1, 1)


def psnr(images: Tensor, decoded: Tensor) -> Tensor:
    """(b,) peak signal-to-noise ratio in dB; the peak of images in [-1, 1] is 2."""
    return 10 * torch.log10(4 / (decoded - images).square().mean(dim=(1, 2, 3)))


def distance(images: Tensor, others: Tensor) -> Tensor:
    """(b,) root mean square of the difference, as a share of the range from black to white."""
    return (images - others).square().mean(dim=(1, 2, 3)).sqrt() / 2


def share_at_edges(kept: Kept) -> float:
    """Share of the squared error that falls on the tenth of pixels that differ most from neighbours."""
    down, right = (kept.images.diff(dim=side).square().sum(1) for side in (2, 3))
    edge = torch.zeros(kept.error.shape)
    edge[:, :-1] += down
    edge[:, :, :-1] += right
    squared = (kept.decoded - kept.images).square().sum(1).flatten(1)
    pixels = squared.shape[1]
    strongest = edge.flatten(1).topk(round(EDGES * pixels), dim=1).indices
    return float(squared.gather(1, strongest).sum() / squared.sum())


def _there_and_back_sheet(kept: Kept) -> Image.Image:
    decibels = psnr(kept.images, kept.decoded)
    rows = [
        Row(
            "",
            [picture, mosaic(latents, tile=LARGE), back, heat(error, BRIGHTEST_ERROR)],
            ["", "", f"{db:.1f} dB", ""],
        )
        for picture, latents, back, error, db in zip(
            pictures(kept.images), kept.latents, pictures(kept.decoded), kept.error, decibels, strict=True
        )
    ]
    return sheet(
        rows,
        ["rendering", "latents, by channel", "decoded", f"error, 0 to {BRIGHTEST_ERROR:.0%}"],
        tile=LARGE,
    )


def _channel_sheet(without: Tensor, damage: Tensor) -> Image.Image:
    names = [f"without {channel}: {share:.1%}" for channel, share in enumerate(damage.tolist())]
    across = 8 if len(names) > 8 else len(names)
    drawn = pictures(without)
    return sheet(
        [
            Row("", drawn[begin : begin + across], names[begin : begin + across])
            for begin in range(0, len(names), across)
        ],
        tile=LARGE if across <= 4 else TILE,
    )
