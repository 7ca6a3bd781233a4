"""What a model's pictures suffer and renderings do not: blur, noise, block and colour errors."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate

from gesso.training.scenes import noise_of


def blemish(images: Tensor, rng: random.Random) -> Tensor:
    """Spoil pictures a little, each in its own way; a third of them keep their sharpness.

    Args:
        images: (b, 3, h, w) in [-1, 1].
    """
    images = images.clone()
    for number in range(len(images)):
        image = images[number : number + 1]
        match rng.randrange(6):
            case 0:
                image = softened(image, rng.uniform(0.3, 1.0))
            case 1:
                image = reduced(image, rng.choice((2, 2, 1.5)))
            case 2:
                image = compressed(image, rng.uniform(0.05, 0.30))
            case 3:
                image = softened(compressed(image, rng.uniform(0.03, 0.15)), rng.uniform(0.0, 0.7))
        if rng.random() < 0.5:
            contrast, light = rng.uniform(0.88, 1.1), rng.uniform(-0.06, 0.06)
            image = image * contrast + light
        if rng.random() < 0.4:
            image = image + rng.uniform(0.01, 0.10) * noise_of(image.shape, rng).to(image.device)
        images[number] = image[0]
    return images.clamp_(-1, 1)


def softened(image: Tensor, share: float) -> Tensor:
    """Mixed with its blur over 3 × 3 pixels."""
    return torch.lerp(image, avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False), share)


def reduced(image: Tensor, factor: float) -> Tensor:
    """As if it had been drawn smaller."""
    size = image.shape[-1]
    small = interpolate(image, size=round(size / factor), mode="bilinear", antialias=True)
    return interpolate(small, size=size, mode="bilinear")


def compressed(image: Tensor, step: float) -> Tensor:
    """With the frequencies of each 8 × 8 block in steps, coarser for the higher ones, as in JPEG."""
    basis = cosine_basis(8).to(image)  # (64, 1, 8, 8)
    channels = image.movedim(1, 0)  # (3, b, h, w): each alone
    shape = channels.shape
    waves = conv2d(channels.reshape(-1, 1, *shape[2:]), basis, stride=8)
    frequency = torch.arange(64, device=image.device)
    steps = step * (1 + (frequency // 8 + frequency % 8))[:, None, None]
    waves = (waves / steps).round() * steps
    return conv_transpose2d(waves, basis, stride=8).reshape(shape).movedim(0, 1)


def cosine_basis(side: int) -> Tensor:
    """The orthonormal basis of the two-dimensional cosine transform, (side², 1, side, side)."""
    place = torch.arange(side, dtype=torch.float32)
    waves = torch.cos(math.pi / side * (place + 0.5) * place[:, None]) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    return torch.einsum("iy,jx->ijyx", waves, waves).reshape(side * side, 1, side, side)
