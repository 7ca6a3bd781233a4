"""How the built-in model is trained on the machine at hand: what world, what networks, how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gesso.config import STORYBOOK, ModelConfig
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
        drawn: pictures drawn once for the autoencoder.
        stored: pictures drawn and encoded once for the last two stages.
    """

    name: PresetName
    world: World
    config: ModelConfig
    autoencoder: Recipe
    reading: Recipe
    denoiser: Recipe
    drawn: int
    stored: int

    def changed(self, steps: Mapping[str, int], seed: int | None = None) -> Preset:
        """Itself with other numbers of steps for the stages named, and another seed for all of them."""
        recipes = {stage: getattr(self, stage) for stage in ("autoencoder", "reading", "denoiser")}
        if seed is not None:
            recipes = {stage: replace(recipe, seed=seed) for stage, recipe in recipes.items()}
        recipes |= {stage: replace(recipes[stage], steps=count) for stage, count in steps.items()}
        return replace(self, **recipes)


GPU = Preset(
    name="gpu",
    world=MEDIUM,
    config=STORYBOOK,
    autoencoder=Recipe(
        steps=2500, batch_size=16, learning_rate=2e-3, warmup=100, cooldown=0.5, ema_decay=0.998
    ),
    reading=Recipe(steps=3000, batch_size=128, learning_rate=1e-3, warmup=50, cooldown=0.4, ema_decay=0.99),
    denoiser=Recipe(
        steps=11_000,
        batch_size=128,
        learning_rate=1.5e-3,
        warmup=200,
        cooldown=0.8,
        precision="bfloat16",
        ema_decay=0.999,
    ),
    drawn=8_192,
    stored=32_768,
)
"""The networks in the package, in about eleven minutes on an H200, the sum of its stages (adr/0009)."""

CPU = Preset(
    name="cpu",
    world=SMALL,
    config=STORYBOOK,
    autoencoder=Recipe(
        steps=1500, batch_size=4, learning_rate=2e-3, warmup=50, cooldown=0.4, ema_decay=0.99
    ),
    reading=Recipe(steps=1000, batch_size=64, learning_rate=1e-3, warmup=50, cooldown=0.4, ema_decay=0.98),
    denoiser=Recipe(steps=5000, batch_size=32, learning_rate=1e-3, cooldown=0.8, ema_decay=0.995),
    drawn=1_024,
    stored=12_288,
)
"""The same networks for half of the kinds, in about six hours on two cores: an estimate."""

PRESETS: dict[PresetName, Preset] = {preset.name: preset for preset in (CPU, GPU)}
