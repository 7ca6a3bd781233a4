"""Networks that enlarge pictures (ESRGAN and its kin), read through the spandrel library.

Wang et al. 2018, "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", and what came after.
Their files are read as any other weights: no code in them is run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gesso.errors import CheckpointError, WrongKindError
from gesso.pipeline.images import from_pil, to_pil
from gesso.weights.files import Tensors, read_tensors

CONTAINERS = ("params_ema.", "params.")
"""Under which trainers of such networks keep the weights; the averaged ones first."""

TILE, OVERLAP = 256, 16
"""Pixels of a picture that are enlarged at a time, and those around them that are enlarged with them."""


@lru_cache(maxsize=1)
def load_network(path: str) -> Callable[[Image.Image], Image.Image]:
    """The function that enlarges a picture by the network's own factor.

    Raises:
        CheckpointError: spandrel is not installed or cannot be loaded, or the file is not readable.
        WrongKindError: it is no network that enlarges colour pictures.
    """
    if find_spec("spandrel") is None:
        raise CheckpointError(
            "networks that enlarge pictures need the library spandrel",
            'Install it: pip install "gesso[upscale]".',
            where=path,
        )
    try:
        spandrel: Any = import_module("spandrel")
    except (ImportError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"the library spandrel cannot be loaded: {error}",
            "Often its torchvision is for another torch: install the one for yours (see pytorch.org).",
            where=path,
        ) from error
    weights = unwrapped(read_tensors(Path(path)))
    try:
        network: Any = spandrel.ModelLoader().load_from_state_dict(weights)
    except spandrel.UnsupportedModelError as error:
        raise WrongKindError("is no network that enlarges pictures", where=path) from error
    if (network.input_channels, network.output_channels) != (3, 3):
        raise WrongKindError("is a network for something else than colour pictures", where=path)
    network.eval()
    return lambda pil_image: enlarge(network, network.scale, pil_image)


def unwrapped(tensors: Tensors) -> Tensors:
    """Without the container's name before each."""
    for container in CONTAINERS:
        inside = {
            name.removeprefix(container): tensor
            for name, tensor in tensors.items()
            if name.startswith(container)
        }
        if inside:
            return inside
    return tensors


@torch.inference_mode()
def enlarge(
    network: Callable[[torch.Tensor], torch.Tensor], scale: int, pil_image: Image.Image
) -> Image.Image:
    """Enlarge a picture piece by piece, so that memory does not grow with it.

    Args:
        network: (1, 3, h, w) in [0, 1] -> (1, 3, scale·h, scale·w).
    """
    image = from_pil(pil_image) / 2 + 0.5  # (1, 3, h, w)
    h, w = image.shape[-2:]
    enlarged = image.new_empty(1, 3, scale * h, scale * w)
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            bottom, right = min(top + TILE, h), min(left + TILE, w)
            from_top, from_left = max(top - OVERLAP, 0), max(left - OVERLAP, 0)
            piece = network(image[..., from_top : bottom + OVERLAP, from_left : right + OVERLAP])
            inner_top, inner_left = scale * (top - from_top), scale * (left - from_left)
            enlarged[..., scale * top : scale * bottom, scale * left : scale * right] = piece[
                ...,
                inner_top : inner_top + scale * (bottom - top),
                inner_left : inner_left + scale * (right - left),
            ]
    return to_pil(enlarged * 2 - 1)[0]
