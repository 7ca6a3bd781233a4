"""What the autoencoder learns from: scenes drawn once, and shown again and again."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from gesso.storybook.render import render
from gesso.storybook.world import World
from gesso.training.gallery import stops
from gesso.training.scenes import many_scenes


class Pictures:
    """Scenes drawn by ``run``, which is to end before any is shown; in eight bits, as they are on a screen.

    Args:
        count: how many.
        size: their side in pixels.
        seed: of the scenes.
    """

    name = "pictures"

    def __init__(self, world: World, count: int, size: int, seed: int, device: torch.device) -> None:
        self.world, self.size, self.seed, self.device = world, size, seed, device
        self.steps = count
        self.step = 0
        self.images = torch.empty(0)

    def run(self) -> Generator[int, None, None]:
        """Draw them, yielding how many are there after some more; those of an interrupted run are lost."""
        scenes = many_scenes(f"pictures {self.seed}", self.steps, self.world)
        shape = self.steps, 3, self.size, self.size
        self.images = torch.empty(
            shape, dtype=torch.uint8, device=self.device, memory_format=torch.channels_last
        )
        for stop in stops(self.step, self.steps, self.device):
            drawn = render(scenes[self.step : stop], self.size, self.device)
            self.images[self.step : stop] = drawn.add_(1).mul_(127.5).round_()
            self.step = stop
            yield stop

    def shown(self, numbers: Tensor) -> Tensor:
        """Some of them, (b,) int64 -> float32 in [-1, 1], (b, 3, size, size)."""
        return self.images[numbers].float() / 127.5 - 1
