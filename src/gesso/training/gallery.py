"""What denoisers learn from: latents of scenes, and maps of what these show."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gesso.models.autoencoder import Autoencoder
from gesso.storybook.render import draw
from gesso.storybook.scene import Scene
from gesso.storybook.segmentation import Maps, segment
from gesso.storybook.world import World
from gesso.training.scenes import many_scenes
from gesso.training.state import read_state, write_state

TOGETHER, TOGETHER_ON_GPU = 32, 512
"""Scenes drawn at once; on a GPU more of them take hardly longer."""


class Exhibits(NamedTuple):
    """Some pictures of a gallery.

    Attributes:
        latents: (b, c, h, w).
        maps: of their cells, (b, h, w) each.
    """

    latents: Tensor
    maps: Maps


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
        return Exhibits(latents, segment(scenes, drawing.owners, side=latents.shape[-1]))


class Gallery:
    """Pictures drawn and encoded once and shown again and again, each time in other words.

    It is filled by ``run`` and kept in a file, so that a run that is resumed need not draw again.

    Args:
        count: of pictures.
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
        self.scenes = many_scenes(f"gallery {seed}", count, world)
        self.step = 0
        side = easel.size // easel.autoencoder.config.downscale
        channels = easel.autoencoder.config.latent_channels
        device = easel.device
        self.latents = torch.empty(count, channels, side, side, dtype=torch.float16, device=device)
        self.kinds = torch.empty(count, side, side, dtype=torch.uint8, device=device)
        self.colors = torch.empty_like(self.kinds)
        if self.path.exists():
            self._resume()

    @property
    def steps(self) -> int:
        """How many pictures there are to be; ``step`` is how many there are."""
        return len(self.scenes)

    def run(self) -> Generator[int, None, None]:
        """Fill it, yielding how many are there after some more; closing the iterator early saves those."""
        for stop in stops(self.step, self.steps, self.easel.device):
            exhibits = self.easel.paint(self.scenes[self.step : stop])
            for stored, new in zip(self._stored(), (exhibits.latents, *exhibits.maps), strict=True):
                stored[self.step : stop] = new
            self.step = stop
            if self.step == self.steps:
                self._save()
            try:
                yield self.step
            except GeneratorExit:
                self._save()
                raise

    def exhibits(self, numbers: Tensor) -> Exhibits:
        """Some of the pictures, on the easel's device: (b,) int64."""
        maps = Maps(self.kinds[numbers].long(), self.colors[numbers].long())
        return Exhibits(self.latents[numbers].float(), maps)

    def _stored(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.latents, self.kinds, self.colors

    def _save(self) -> None:
        parts = [stored[: self.step].cpu() for stored in self._stored()]
        write_state({"fingerprint": self.settings, "stored": parts}, self.path)

    def _resume(self) -> None:
        parts = read_state(self.path, self.settings, ("fingerprint", "stored"))["stored"]
        self.step = len(parts[0])
        for stored, part in zip(self._stored(), parts, strict=True):
            stored[: self.step] = part.to(stored.device)


def stops(start: int, stop: int, device: torch.device) -> Iterator[int]:
    """Where to pause when all from ``start`` to before ``stop`` are drawn on a device."""
    together = TOGETHER_ON_GPU if device.type == "cuda" else TOGETHER
    return (min(place + together, stop) for place in range(start, stop, together))
