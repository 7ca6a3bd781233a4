"""Teaching a text encoder and a UNet together to draw what captions say."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from gesso.config import ModelConfig
from gesso.diffusion.schedule import NoiseSchedule
from gesso.engine.layout import channels_last
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.storybook.captions import caption
from gesso.storybook.render import render
from gesso.storybook.scene import Scene
from gesso.text.conditioning import encode_prompts
from gesso.text.tokenizer import Tokenizer
from gesso.training.losses import add_noise, v_target
from gesso.training.recipe import Recipe
from gesso.training.scenes import draw, scenes_of

NEARLY_CLEAN = 0.25
"""Share of the timesteps that counts as nearly clean: the least noisy quarter."""

NEARLY_CLEAN_DRAWS = 0.15
"""Share of the draws that go there. They only polish what the caption no longer decides."""

CAPTION_DROPOUT = 0.1
"""Share of captions replaced by the empty one, for guidance (Ho & Salimans 2022, Algorithm 1)."""


class DenoiserTask:
    """Text encoder and UNet learn together to remove noise from the latents of captioned scenes."""

    name = "denoiser"

    def __init__(
        self,
        config: ModelConfig,
        autoencoder: Autoencoder,
        tokenizer: Tokenizer,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.config = config
        self.recipe = recipe
        self.device = device
        self.autoencoder = autoencoder.to(device).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.alphas_cumprod = NoiseSchedule(config.noise).alphas_cumprod.to(device)
        self.text_encoder = TextEncoder(config.text_encoder)
        self.unet = UNet(config.unet)
        start_small(self.text_encoder, self.unet)
        self.model = nn.ModuleDict({"text_encoder": self.text_encoder, "unet": self.unet})
        channels_last(self.model.to(device))
        self.settings: dict[str, Any] = {"model": asdict(replace(config, name=""))}

    def loss(self, step: int) -> Tensor:
        scenes, rng = scenes_of(self.recipe.seed, step, self.recipe.batch_size)
        captions = ["" if rng.random() < CAPTION_DROPOUT else caption(scene, rng) for scene in scenes]
        latents = self._encode(scenes)  # (b, 4, h, w)
        timesteps = stratified_timesteps(len(scenes), self.config.noise.steps, rng).to(self.device)
        alphas_cumprod = self.alphas_cumprod[timesteps][:, None, None, None]
        noise = draw(latents.shape, rng, self.device)

        context = encode_prompts(self.text_encoder, self.tokenizer, captions, device=self.device)
        output = self.unet(add_noise(latents, noise, alphas_cumprod), timesteps, context)
        # Every drawn timestep weighs the same in v: the noisiest ones, where only the caption tells what
        # there is to see, so weigh as much as the others (in epsilon they would hardly count).
        return mse_loss(output, v_target(latents, noise, alphas_cumprod))

    @torch.no_grad()
    def _encode(self, scenes: list[Scene]) -> Tensor:
        image = render(scenes, self.config.image_size, device=self.device)
        return self.autoencoder.encode(image.contiguous(memory_format=torch.channels_last))


def stratified_timesteps(count: int, steps: int, rng: random.Random) -> Tensor:
    """One timestep from each of ``count`` equally likely parts of the range, so that batches differ less.

    Within the least noisy quarter and within the rest, every timestep is equally likely.
    """
    draws = [(index + rng.random()) / count for index in range(count)]
    return torch.tensor([min(int(timestep_quantile(draw) * steps), steps - 1) for draw in draws])


def timestep_quantile(draw: float) -> float:
    """A number in [0, 1), uniform, to a share of the timesteps: piecewise linear, the quantile function."""
    if draw < NEARLY_CLEAN_DRAWS:
        return draw / NEARLY_CLEAN_DRAWS * NEARLY_CLEAN
    return NEARLY_CLEAN + (draw - NEARLY_CLEAN_DRAWS) / (1 - NEARLY_CLEAN_DRAWS) * (1 - NEARLY_CLEAN)


@torch.no_grad()
def start_small(text_encoder: TextEncoder, unet: UNet) -> None:
    """Begin with residual branches that add nothing and small embeddings, so that early steps are calm.

    Goyal et al. 2017, §5.1 (zero-initialised last layers); Radford et al. 2019, §2.3 (embeddings).
    """
    embeddings = text_encoder.text_model.embeddings
    embeddings.token_embedding.weight.mul_(0.02)
    embeddings.position_embedding.weight.mul_(0.01)
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")) or name == "conv_out":
            for parameter in module.parameters():
                parameter.zero_()
