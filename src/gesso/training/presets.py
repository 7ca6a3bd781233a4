"""How the built-in model is trained on the machine at hand: what world, what networks, how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gesso.config import STORYBOOK, ModelConfig, UNetConfig
from gesso.storybook.world import MEDIUM, SMALL, World
from gesso.training.recipe import Recipe

PresetName = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Preset:
    """All there is to say about one training of the built-in model.

    Attributes:
        world: what scenes are drawn from.
        config: of the networks; the vocabulary's size and the latents' scale are found in training.
        autoencoder, reading, denoiser: the stages' recipes, in their order.
        stored: pictures drawn and encoded once for the last two stages; 0 draws each when it is needed.
    """

    name: PresetName
    world: World
    config: ModelConfig
    autoencoder: Recipe
    reading: Recipe
    denoiser: Recipe
    stored: int

    def changed(self, steps: Mapping[str, int], seed: int | None = None) -> Preset:
        """Itself with other numbers of steps for the stages named, and another seed for all of them."""
        recipes = {stage: getattr(self, stage) for stage in ("autoencoder", "reading", "denoiser")}
        if seed is not None:
            recipes = {stage: replace(recipe, seed=seed) for stage, recipe in recipes.items()}
        recipes |= {stage: replace(recipes[stage], steps=count) for stage, count in steps.items()}
        return replace(self, **recipes)


CPU = Preset(
    name="cpu",
    world=SMALL,
    config=STORYBOOK,
    autoencoder=Recipe(
        steps=1500, batch_size=4, learning_rate=2e-3, warmup=50, cooldown=0.4, ema_decay=0.99
    ),
    reading=Recipe(steps=500, batch_size=64, learning_rate=1e-3, warmup=50, cooldown=0.4, ema_decay=0.98),
    denoiser=Recipe(steps=5000, batch_size=32, learning_rate=1e-3, cooldown=0.8, ema_decay=0.995),
    stored=12_288,
)
"""128 × 128 pixels, in three hours on two cores: an estimate, from shorter stages."""

GPU = Preset(
    name="gpu",
    world=MEDIUM,
    config=replace(
        STORYBOOK,
        unet=UNetConfig(
            block_channels=(40, 80, 160, 192),
            layers_per_block=1,
            attention_levels=(False, False, True, True),
            heads=4,
            context_dim=160,
            groups=8,
            sample_size=64,
        ),
        text_encoder=replace(STORYBOOK.text_encoder, width=160),
    ),
    autoencoder=Recipe(
        steps=3000, batch_size=32, learning_rate=2e-3, warmup=100, cooldown=0.4, ema_decay=0.995
    ),
    reading=Recipe(steps=1000, batch_size=128, learning_rate=1e-3, warmup=50, cooldown=0.4, ema_decay=0.98),
    denoiser=Recipe(steps=3000, batch_size=128, learning_rate=1e-3, cooldown=0.8, ema_decay=0.998),
    stored=49_152,
)
"""256 × 256 pixels, of a wider world. The numbers of steps are estimates: it has not been run yet."""

PRESETS: dict[PresetName, Preset] = {preset.name: preset for preset in (CPU, GPU)}
