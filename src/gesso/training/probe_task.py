"""Teaching a small network to read pictures of the storybook world."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss

from gesso.engine.layout import channels_last
from gesso.models.autoencoder import Autoencoder
from gesso.storybook.compose import sample_scene
from gesso.storybook.paste import FIRST_OWNER
from gesso.storybook.probe import CELLS, PICTURE_HEADS, SIZE, Glance, Probe, ProbeConfig
from gesso.storybook.render import draw
from gesso.storybook.scene import COLORS, GROUNDS, KINDS, SKIES, STYLES, WEATHERS, Scene
from gesso.storybook.segmentation import Maps, majority, segment
from gesso.storybook.world import WHOLE, World
from gesso.training.blemishes import blemish
from gesso.training.recipe import Recipe

MIDDLE_WEIGHT = 8.0
"""Of the cells with a thing's middle, beside the many without."""

MIDDLES_WEIGHT, PLACE_WEIGHT = 20.0, 4.0
"""Of these two losses beside the cross-entropies: few cells hold a middle, and sizes are read closely."""


class Targets(NamedTuple):
    """What the probe is to say of b pictures with n things in all.

    Attributes:
        maps: classes of the cells, (b, CELLS, CELLS).
        middles: 1 where a thing has its middle, (b, CELLS, CELLS).
        at: number of the picture, row and column of each thing's middle, (n,) each.
        kinds, colors: its classes, (n,).
        places: what the head "place" says of it, (n, 4).
        pictures: classes of the whole picture, (b,) each.
    """

    maps: Maps
    middles: Tensor
    at: tuple[Tensor, Tensor, Tensor]
    kinds: Tensor
    colors: Tensor
    places: Tensor
    pictures: dict[str, Tensor]


class ProbeTask:
    """Renderings, whole and blemished, to what they show. Held-out combinations are among them."""

    name = "probe"

    def __init__(
        self,
        config: ProbeConfig,
        recipe: Recipe,
        device: torch.device,
        world: World = WHOLE,
        autoencoder: Autoencoder | None = None,
        autoencoder_size: int = SIZE,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = device
        self.world = world
        self.model = channels_last(Probe(config).to(device))
        self.autoencoder = autoencoder
        self.autoencoder_size = autoencoder_size
        self.settings: dict[str, Any] = {
            "probe": asdict(config),
            "decoded": autoencoder is not None,
            "world": asdict(world),
        }

    def loss(self, step: int) -> Tensor:
        rng = random.Random(f"probe {self.recipe.seed}/{step}")
        scenes = [sample_scene(rng, self.world, held_out=None) for _ in range(self.recipe.batch_size)]
        drawing = draw(scenes, SIZE, self.device)
        images = self._spoil(drawing.images, scenes, rng)
        glance = self.model(images.contiguous(memory_format=torch.channels_last))
        return probe_loss(glance, targets(scenes, drawing.owners))

    @torch.no_grad()
    def _spoil(self, images: Tensor, scenes: Sequence[Scene], rng: random.Random) -> Tensor:
        """A sixth of the pictures as the autoencoder gives them back, if there is one; all blemished."""
        some = len(scenes) // 6
        if self.autoencoder is not None and some:
            drawn = draw(scenes[:some], self.autoencoder_size, self.device).images
            decoded = self.autoencoder.decode(self.autoencoder.encode(drawn))
            images[:some] = torch.nn.functional.interpolate(decoded, (SIZE, SIZE), mode="bilinear")
        return blemish(images, rng)


def targets(scenes: Sequence[Scene], owners: Tensor) -> Targets:
    """What the probe is to say of drawings, from their scenes and maps of owners, (b, SIZE, SIZE)."""
    most = FIRST_OWNER + max(len(scene.things) for scene in scenes)
    device = owners.device
    cells = majority(owners, most, CELLS)
    things = [(number, place) for number, s in enumerate(scenes) for place in range(len(s.things))]
    numbers, places = torch.tensor(things, device=device).unbind(1)
    shown = [scenes[number].things[place] for number, place in things]
    x, y = (value[numbers, places] for value in centres(owners, most))  # (n,) each, in cells
    rows, columns = y.long().clamp_max(CELLS - 1), x.long().clamp_max(CELLS - 1)
    sizes, feet = x.new_tensor([(thing.size, thing.base) for thing in shown]).unbind(1)
    middles = torch.zeros(len(scenes), CELLS, CELLS, device=device)
    middles[numbers, rows, columns] = 1
    names = {"sky": SKIES, "ground": GROUNDS, "weather": WEATHERS, "style": STYLES}
    return Targets(
        maps=segment(scenes, cells),
        middles=middles,
        at=(numbers, rows, columns),
        kinds=torch.tensor([KINDS.index(thing.kind) for thing in shown], device=device),
        colors=torch.tensor([COLORS.index(thing.color) for thing in shown], device=device),
        places=torch.stack([x - columns, y - rows, sizes.log(), 4 * (feet - y / CELLS)], dim=1),
        pictures={
            head: torch.tensor([names[head].index(getattr(s, head)) for s in scenes], device=device)
            for head in PICTURE_HEADS
        },
    )


def centres(owners: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Middle of what is seen of each thing, in cells: x and y, (b, count - FIRST_OWNER) each."""
    shares = torch.nn.functional.one_hot(owners.long(), count)[..., FIRST_OWNER:].float()  # (b, h, w, n)
    steps = (torch.arange(owners.shape[-1], device=owners.device) + 0.5) * (CELLS / owners.shape[-1])
    area = shares.sum(dim=(1, 2)).clamp_min(1)
    x = torch.einsum("bhwn,w->bn", shares, steps) / area
    y = torch.einsum("bhwn,h->bn", shares, steps) / area
    return x, y


def probe_loss(glance: Glance, wanted: Targets) -> Tensor:
    """The sum of all heads' errors: cross-entropies, and a distance for places."""
    cells, (numbers, rows, columns) = glance.cells, wanted.at

    def of_things(head: str) -> Tensor:
        return cells[head][numbers, :, rows, columns]  # (n, c)

    middle = binary_cross_entropy_with_logits(
        cells["middle"][:, 0], wanted.middles, pos_weight=wanted.middles.new_tensor(MIDDLE_WEIGHT)
    )
    losses = [
        cross_entropy(cells["kinds"], wanted.maps.kinds),
        cross_entropy(cells["colors"], wanted.maps.colors),
        MIDDLES_WEIGHT * middle,
        cross_entropy(of_things("kind"), wanted.kinds),
        cross_entropy(of_things("color"), wanted.colors),
        PLACE_WEIGHT * l1_loss(of_things("place"), wanted.places),
        *(cross_entropy(glance.pictures[head], wanted.pictures[head]) for head in PICTURE_HEADS),
    ]
    return torch.stack(losses).sum()
