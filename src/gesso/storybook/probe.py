"""A small network that reads pictures of the world: what is where, in which colour, and under which sky.

It is trained on the world's own renderings, of which everything is known, and then reads what a model drew.
At every cell of a 32 × 32 grid it tells the class and colour to be seen there, and whether a thing has its
middle there, as Zhou et al. 2019 ("Objects as points") do; for the whole picture it tells the sky, the
ground, the weather and the style.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from gesso.errors import CheckpointError
from gesso.storybook.scene import COLORS, GROUNDS, KINDS, SKIES, STYLES, WEATHERS
from gesso.storybook.segmentation import COLOR_CLASSES, KIND_CLASSES
from gesso.storybook.world import WORLDS, find_world

PROBE_FILE = Path(__file__).parent / "weights" / "probe.safetensors"
SIZE = 128
"""Side in pixels of the pictures it looks at; others are brought to it."""

CELLS = 32
"""Cells along each side of its maps."""

CELL_HEADS = {
    "kinds": KIND_CLASSES, "colors": COLOR_CLASSES, "middle": 1, "kind": len(KINDS), "color": len(COLORS),
    "place": 4,
}  # fmt: skip
PICTURE_HEADS = {
    "sky": len(SKIES), "ground": len(GROUNDS), "weather": len(WEATHERS), "style": len(STYLES)
}  # fmt: skip


@dataclass(frozen=True)
class ProbeConfig:
    """Channels at a quarter, an eighth and a sixteenth of the picture's side."""

    channels: tuple[int, int, int] = (40, 80, 96)
    groups: int = 8


class Glance(NamedTuple):
    """What the network says of b pictures.

    Attributes:
        cells: for each of ``CELL_HEADS`` the logits, (b, c, CELLS, CELLS). "kinds" and "colors" are of what
            is seen in a cell; "middle" of a thing having its middle there, and the rest is of that thing:
            "kind", "color" and "place": the middle of what is seen of it within the cell, in cells; the
            logarithm of its height; and how far its foot is below that middle, in quarters of the picture.
        pictures: for each of ``PICTURE_HEADS`` the logits, (b, c).
        features: of the whole picture, (b, f).
    """

    cells: dict[str, Tensor]
    pictures: dict[str, Tensor]
    features: Tensor


class Block(nn.Module):
    """Two convolutions around a skip."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(silu(self.norm2(self.conv1(silu(self.norm1(x))))))


class Probe(nn.Module):
    """(b, 3, h, w) in [-1, 1] -> a glance."""

    def __init__(self, config: ProbeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ProbeConfig()
        fine, middle, coarse = config.channels
        groups = config.groups
        self.conv_in = nn.Conv2d(3, 24, 4, stride=2, padding=1)
        self.down1 = nn.Conv2d(24, fine, 4, stride=2, padding=1)
        self.fine = Block(fine, groups)
        self.down2 = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle = nn.Sequential(Block(middle, groups), Block(middle, groups))
        self.down3 = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(Block(coarse, groups), Block(coarse, groups))
        self.up2 = nn.Conv2d(coarse, middle, 1)
        self.merge2 = Block(middle, groups)
        self.up1 = nn.Conv2d(middle, fine, 1)
        self.merge1 = Block(fine, groups)
        self.cell_norm = nn.GroupNorm(groups, fine)
        self.cell_heads = nn.Conv2d(fine, sum(CELL_HEADS.values()), 1)
        self.cell_heads.bias = nn.Parameter(
            torch.full((sum(CELL_HEADS.values()),), -2.0)
        )  # mostly no middle
        width = fine + coarse
        self.picture_heads = nn.Sequential(
            nn.Linear(2 * width, 96), nn.SiLU(), nn.Linear(96, sum(PICTURE_HEADS.values()))
        )

    def forward(self, image: Tensor) -> Glance:
        if image.shape[-2:] != (SIZE, SIZE):
            shrinks = image.shape[-1] > SIZE
            image = interpolate(image, (SIZE, SIZE), mode="bilinear", antialias=shrinks)
        fine = self.fine(self.down1(silu(self.conv_in(image))))  # (b, 40, 32, 32)
        middle = self.middle(self.down2(silu(fine)))  # (b, 80, 16, 16)
        coarse = self.coarse(self.down3(silu(middle)))  # (b, 96, 8, 8)
        up = self.merge2(middle + interpolate(self.up2(coarse), scale_factor=2.0))
        up = self.merge1(fine + interpolate(self.up1(up), scale_factor=2.0))
        cells = self.cell_heads(silu(self.cell_norm(up)))
        features = torch.cat([spread(fine), spread(coarse)], dim=1)  # (b, 272)
        return Glance(
            cells=dict(zip(CELL_HEADS, cells.split(list(CELL_HEADS.values()), dim=1), strict=True)),
            pictures=dict(
                zip(
                    PICTURE_HEADS,
                    self.picture_heads(features).split(list(PICTURE_HEADS.values()), dim=1),
                    strict=True,
                )
            ),
            features=features,
        )


def spread(x: Tensor) -> Tensor:
    """Mean and deviation of each channel: (b, c, h, w) -> (b, 2c)."""
    return torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)


def load_probe(path: Path = PROBE_FILE, world: str | None = None) -> tuple[Probe, dict[str, float]]:
    """The trained network, and for each attribute the share it reads rightly off held-out renderings.

    Args:
        world: name of the one to be read, where that is known; it may be a part of the one that was learnt.

    Raises:
        CheckpointError: the file is missing or holds something else, or a probe of another world.
        RequestError: no world is called ``world``.
    """
    advice = "`gesso train probe` makes one."
    if not path.is_file():
        raise CheckpointError("there is no probe here", advice, where=str(path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if "channels" not in metadata or "accuracy" not in metadata:
            raise ValueError("it does not say that it is one")
        probe = Probe(ProbeConfig(channels=tuple(json.loads(metadata["channels"]))))
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        probe.load_state_dict(state)
        accuracy = json.loads(metadata["accuracy"])
    except Exception as error:  # safetensors and torch raise many kinds
        raise CheckpointError(f"not a readable probe ({error})", advice, where=str(path)) from error
    if world and (learnt := metadata.get("world")):
        _check_world(learnt, world, path)
    return probe.eval().requires_grad_(False), accuracy


def _check_world(learnt: str, world: str, path: Path) -> None:
    """Refuse a probe that learnt another world, of which the one to be read is no part."""
    if learnt in WORLDS and WORLDS[learnt].includes(find_world(world)):
        return
    advice = f"Use a probe of `gesso train probe --world {world}`."
    if learnt in WORLDS:
        advice = f"Use --world {learnt}, or a probe of `gesso train probe --world {world}`."
    raise CheckpointError(
        f"this probe reads the {learnt} world, not the {world} one", advice, where=str(path)
    )
