"""Teaching an autoencoder the storybook world."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from gesso.config import AutoencoderConfig
from gesso.engine.layout import channels_last
from gesso.models.autoencoder import Autoencoder
from gesso.storybook.render import render
from gesso.storybook.world import World
from gesso.training.batches import Batch, BatchTask
from gesso.training.losses import kl_divergence, reconstruction_loss
from gesso.training.pictures import Pictures
from gesso.training.recipe import Recipe
from gesso.training.scenes import many_scenes, noise_of

KL_WEIGHT = 1e-4
"""Keeps latents near unit variance without costing sharpness."""


class AutoencoderTask(BatchTask):
    """Scenes through the autoencoder and back."""

    name = "autoencoder"

    def __init__(
        self,
        config: AutoencoderConfig,
        pictures: Pictures,
        world: World,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.pictures = pictures
        self.device = device
        autoencoder = Autoencoder(config)
        start_small(autoencoder)
        self.model = channels_last(autoencoder.to(device))
        self.settings: dict[str, Any] = {
            "autoencoder": asdict(config),
            "size": pictures.size,
            "pictures": pictures.steps,
            "world": asdict(world),
        }

    def batch(self, step: int) -> Batch:
        """Numbers of pictures, and noise for their latents."""
        rng = random.Random(f"autoencoder {self.recipe.seed}/{step}")
        numbers = rng.sample(range(self.pictures.steps), self.recipe.batch_size)
        config = self.model.config
        side = self.pictures.size // config.downscale
        return torch.tensor(numbers), noise_of((len(numbers), config.latent_channels, side, side), rng)

    def loss_of(self, *batch: Tensor) -> Tensor:
        numbers, noise = batch
        image = self.pictures.shown(numbers).contiguous(memory_format=torch.channels_last)
        posterior = self.model.posterior(image)
        latents = posterior.mean + (0.5 * posterior.log_variance).exp() * noise
        decoded = self.model.decode(latents * self.model.config.scaling_factor)
        return reconstruction_loss(decoded, image) + KL_WEIGHT * kl_divergence(posterior)


@torch.no_grad()
def calibrate(autoencoder: Autoencoder, size: int, world: World, count: int = 512) -> AutoencoderConfig:
    """The autoencoder's config with the scaling factor that gives its latents unit variance."""
    scenes = many_scenes("calibration", count, world)
    device = next(autoencoder.parameters()).device
    parts = [
        autoencoder.posterior(render(scenes[start : start + 64], size, device=device)).mean
        for start in range(0, count, 64)
    ]
    return replace(autoencoder.config, scaling_factor=round(float(1 / torch.cat(parts).std()), 5))


@torch.no_grad()
def start_small(autoencoder: Autoencoder) -> None:
    """Begin with residual branches that add nothing: what is linear is learnt first.

    Goyal et al. 2017, §5.1 (zero-initialised last layers).
    """
    for name, module in autoencoder.named_modules():
        if name.endswith(".conv2"):
            for parameter in module.parameters():
                parameter.zero_()
