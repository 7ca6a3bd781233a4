"""What denoisers learn from: latents of scenes, and maps of what these show."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gesso.models.autoencoder import Autoencoder
from gesso.storybook.render import draw
from gesso.storybook.scene import Scene
from gesso.storybook.segmentation import Maps, segment
from gesso.storybook.world import World
from gesso.training.scenes import scenes_of
from gesso.training.state import read_state, write_state

TOGETHER = 32
"""Scenes drawn and encoded at once."""


class Exhibits(NamedTuple):
    """Some pictures of a gallery.

    Attributes:
        latents: (b, c, h, w).
        maps: of their cells, (b, h, w) each.
    """

    scenes: list[Scene]
    latents: Tensor
    maps: Maps


class Gallery(Protocol):
    """Where a training step's pictures come from."""

    def choose(self, rng: Random, count: int) -> Exhibits:
        """Some pictures; which, the random numbers' state says."""
        ...


class Easel:
    """Draws scenes and encodes them.

    Args:
        size: side of the pictures in pixels.
    """

    def __init__(self, autoencoder: Autoencoder, size: int, device: torch.device) -> None:
        self.autoencoder = autoencoder.to(device).eval().requires_grad_(False)
        self.size = size
        self.device = device

    @torch.no_grad()
    def paint(self, scenes: list[Scene]) -> Exhibits:
        drawing = draw(scenes, self.size, self.device)
        latents = self.autoencoder.encode(drawing.images.contiguous(memory_format=torch.channels_last))
        return Exhibits(scenes, latents, segment(scenes, drawing.owners, side=latents.shape[-1]))


class FreshGallery:
    """Every picture is drawn when it is needed, and never seen twice: for where drawing is fast."""

    def __init__(self, easel: Easel, world: World) -> None:
        self.easel = easel
        self.world = world

    def choose(self, rng: Random, count: int) -> Exhibits:
        scenes, _ = scenes_of(rng.getrandbits(63), 0, count, self.world)
        return self.easel.paint(scenes)


class StoredGallery:
    """Pictures drawn and encoded once and shown again and again, each time in other words.

    It is filled by ``run`` and kept in a file, so that a run that is resumed need not draw again.

    Args:
        count: of pictures, a multiple of ``TOGETHER``.
        folder: keeps ``gallery.pt``.
        settings: what the pictures depend on.

    Raises:
        ResumeError: the folder holds a gallery of other settings.
    """

    name = "gallery"

    def __init__(
        self, easel: Easel, world: World, count: int, folder: Path, settings: dict[str, Any], seed: int = 0
    ) -> None:
        self.easel = easel
        self.path = folder / "gallery.pt"
        self.settings = {**settings, "world": asdict(world), "count": count, "seed": seed}
        self.steps = count // TOGETHER
        self.parts: list[tuple[Tensor, Tensor, Tensor]] = []
        if self.path.exists():
            self.parts = read_state(self.path, self.settings, ("fingerprint", "parts"))["parts"]
        self.scenes = [
            scene
            for number in range(self.steps)
            for scene in scenes_of(f"gallery {seed}", number, TOGETHER, world)[0]
        ]

    @property
    def step(self) -> int:
        return len(self.parts)

    def run(self) -> Generator[int, None, None]:
        """Fill it, yielding after each ``TOGETHER`` pictures; closing the iterator early saves those."""
        while self.step < self.steps:
            start = self.step * TOGETHER
            exhibits = self.easel.paint(self.scenes[start : start + TOGETHER])
            kinds, colors = (classes.to(torch.uint8).cpu() for classes in exhibits.maps)
            self.parts.append((exhibits.latents.half().cpu(), kinds, colors))
            if self.step == self.steps:
                self._save()
            try:
                yield self.step
            except GeneratorExit:
                self._save()
                raise

    def choose(self, rng: Random, count: int) -> Exhibits:
        numbers = rng.sample(range(len(self.scenes)), count)
        places = [divmod(number, TOGETHER) for number in numbers]
        latents, kinds, colors = (
            torch.stack([self.parts[part][column][row] for part, row in places]).to(self.easel.device)
            for column in range(3)
        )
        return Exhibits(
            [self.scenes[number] for number in numbers], latents.float(), Maps(kinds.long(), colors.long())
        )

    def _save(self) -> None:
        write_state({"fingerprint": self.settings, "parts": self.parts}, self.path)
