"""Images: PIL pictures to tensors in [-1, 1] and back."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gesso.errors import NumericsError
from gesso.pipeline.pictures import flatten, plain


def to_pil(image: Tensor) -> list[Image.Image]:
    """Turn a batch of images into pictures of 8 bits a channel.

    Args:
        image: (b, 3, h, w) in [-1, 1], any float type and device; values outside are clipped, and the
            rest rounded to the nearest of 256 levels.

    Raises:
        NumericsError: a value is NaN or infinite; it would have become a black or white spot.
    """
    if not bool(torch.isfinite(image).all()):
        bad = int((~torch.isfinite(image)).sum())
        raise NumericsError(
            f"{bad} of {image.numel()} decoded values are NaN or infinite",
            "Decode in float32, and check the checkpoint.",
        )
    levels = ((image.detach().float() / 2 + 0.5).clamp(0, 1) * 255).round()
    pixels = levels.to("cpu", torch.uint8).permute(0, 2, 3, 1)  # (b, h, w, 3)
    return [Image.fromarray(picture) for picture in pixels.contiguous().numpy()]


def from_pil(pil_image: Image.Image) -> Tensor:
    """Turn a picture into an image, (1, 3, h, w) float32 in [-1, 1].

    Greys and palettes become colours; transparency is laid on white.
    """
    colours = np.asarray(flatten(plain(pil_image), "white"), dtype=np.float32)  # (h, w, 3)
    return torch.from_numpy(colours / 127.5 - 1).permute(2, 0, 1).unsqueeze(0).contiguous()
