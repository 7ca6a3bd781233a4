"""Teaching a text encoder and a UNet together to draw what captions say."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from gesso.config import ModelConfig
from gesso.diffusion.schedule import NoiseSchedule
from gesso.engine.layout import channels_last
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.storybook.segmentation import FIRST_KIND_CLASS, Maps
from gesso.storybook.world import World
from gesso.text.tokenizer import Tokenizer
from gesso.training.batches import Batch, BatchTask
from gesso.training.gallery import Gallery
from gesso.training.layout_head import LayoutHead, Witness, cells_of, coarser
from gesso.training.losses import add_noise, v_target
from gesso.training.recipe import Recipe
from gesso.training.scenes import noise_of, prompt_for, tokens_of

QUANTILES = (0.0, 0.0), (0.22, 0.25), (0.52, 0.5), (0.8, 0.75), (1.0, 1.0)
"""Shares of the draws, and the shares of the timesteps below which they lie. Shapes are decided around the
middle and details below; where things stand is decided above, and learnt soon."""

CAPTION_DROPOUT = 0.1
"""Share of captions replaced by the empty one, for guidance (Ho & Salimans 2022, Algorithm 1)."""

THING_WEIGHT = 4.0
"""Of the error where there is a thing, and next to it, beside that of mere sky and ground."""

LAYOUT_WEIGHT = 0.2
"""Of telling what is seen in each cell, beside denoising."""


class DenoiserTask(BatchTask):
    """Text encoder and UNet learn together to remove noise from the latents of captioned scenes.

    Args:
        reader: weights of a text encoder that has learnt to read.
    """

    name = "denoiser"

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        reader: Mapping[str, Tensor],
        gallery: Gallery,
        world: World,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.config, self.tokenizer, self.gallery = config, tokenizer, gallery
        self.recipe, self.device = recipe, device
        self.alphas_cumprod = NoiseSchedule(config.noise).alphas_cumprod.to(device)
        self.text_encoder = TextEncoder(config.text_encoder)
        self.text_encoder.load_state_dict(reader)
        self.unet = UNet(config.unet)
        start_small(self.unet)
        # What the second finest level passes up to the finest.
        self.witness = Witness(self.unet.up_blocks[-2])
        self.layout = LayoutHead(config.unet.block_channels[1])
        parts = {"text_encoder": self.text_encoder, "unet": self.unet, "layout": self.layout}
        self.model = nn.ModuleDict(parts)
        channels_last(self.model.to(device))
        self.settings: dict[str, Any] = {"model": asdict(replace(config, name="")), "world": asdict(world)}

    def batch(self, step: int) -> Batch:
        """Numbers of pictures, their captions' tokens, timesteps, and noise."""
        rng = random.Random(f"denoiser {self.recipe.seed}/{step}")
        count, scenes = self.recipe.batch_size, self.gallery.scenes
        numbers = rng.sample(range(len(scenes)), count)
        captions = ["" if rng.random() < CAPTION_DROPOUT else prompt_for(scenes[n], rng) for n in numbers]
        tokens = tokens_of(captions, self.tokenizer, self.config.text_encoder.max_length)
        timesteps = stratified_timesteps(count, self.config.noise.steps, rng)
        noise = noise_of((count, *self.gallery.latents.shape[1:]), rng)
        return torch.tensor(numbers), tokens, timesteps, noise

    def loss_of(self, *batch: Tensor) -> Tensor:
        numbers, tokens, timesteps, noise = batch
        latents, maps = self.gallery.exhibits(numbers)
        alphas_cumprod = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy = add_noise(latents, noise, alphas_cumprod)  # (b, c, h, w)
        context = self.text_encoder(tokens)
        output = self.unet(noisy.contiguous(memory_format=torch.channels_last), timesteps, context)
        # Every drawn timestep weighs the same in v: the noisiest ones, where only the caption tells what
        # there is to see, so weigh as much as the others (in epsilon they would hardly count).
        error = (output - v_target(latents, noise, alphas_cumprod)).square()
        weights = thing_weights(maps)
        denoising = (weights * error).mean() / weights.mean()
        features = self.witness.take()
        seen = self.layout.loss(cells_of(features), coarser(maps, features.shape[-1]))
        return denoising + LAYOUT_WEIGHT * seen


def thing_weights(maps: Maps) -> Tensor:
    """How much each cell's error counts, (b, 1, h, w): outlines lie in the cells next to a thing too."""
    things = (maps.kinds >= FIRST_KIND_CLASS).float()[:, None]
    return 1 + (THING_WEIGHT - 1) * max_pool2d(things, 3, stride=1, padding=1)


def stratified_timesteps(count: int, steps: int, rng: random.Random) -> Tensor:
    """One timestep from each of ``count`` equally likely parts of the range, so that batches differ less.

    Within each quarter of the range, every timestep is equally likely.
    """
    draws = [(index + rng.random()) / count for index in range(count)]
    return torch.tensor([min(int(timestep_quantile(draw) * steps), steps - 1) for draw in draws])


def timestep_quantile(draw: float) -> float:
    """A number in [0, 1), uniform, to a share of the timesteps: piecewise linear, the quantile function."""
    for (low, start), (high, end) in pairwise(QUANTILES):
        if draw < high:
            return start + (draw - low) / (high - low) * (end - start)
    return 1.0


@torch.no_grad()
def start_small(unet: UNet) -> None:
    """Begin with residual branches that add nothing, so that early steps are calm.

    Goyal et al. 2017, §5.1 (zero-initialised last layers).
    """
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")) or name == "conv_out":
            for parameter in module.parameters():
                parameter.zero_()
