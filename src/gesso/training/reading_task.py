"""Teaching a text encoder to read, before anything is drawn.

Stable Diffusion's text encoder came from CLIP, which knew what captions show. Here it first learns to tell
from a caption alone what is seen where, which costs a fraction of what a UNet pays for the same insight.
"""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gesso.config import TextEncoderConfig
from gesso.models.attention import TransformerBlock
from gesso.models.text_encoder import TextEncoder
from gesso.storybook.scene import GROUNDS, SKIES, STYLES, WEATHERS, Scene
from gesso.storybook.world import World
from gesso.text.tokenizer import Tokenizer
from gesso.training.batches import Batch, BatchTask
from gesso.training.gallery import Gallery
from gesso.training.layout_head import LayoutHead, coarser
from gesso.training.recipe import Recipe
from gesso.training.scenes import prompt_for, tokens_of
from gesso.training.sides import Sides, has_sides, sides_of

SIDE = 8
"""Cells along each side of the map that is told from a caption."""

BLOCKS = 2
HEADS = 4

WHOLE_PICTURE = {"sky": SKIES, "ground": GROUNDS, "weather": WEATHERS, "style": STYLES}


class Foreteller(nn.Module):
    """Cells that ask a context what will be seen in them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell_embedding = nn.Embedding(SIDE * SIDE, width)
        self.blocks = nn.ModuleList(TransformerBlock(width, width, HEADS) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(width)
        self.layout = LayoutHead(width)
        self.picture = nn.Linear(width, sum(map(len, WHOLE_PICTURE.values())))

    def forward(self, context: Tensor) -> Tensor:
        """(b, n, width) -> features of the cells, (b, SIDE², width)."""
        x = self.cell_embedding.weight.expand(len(context), -1, -1)
        for block in self.blocks:
            x = block(x, context)
        return self.norm(x)


class ReadingTask(BatchTask):
    """Captions to maps of kinds and colours, to what holds for the whole picture, and to left and right."""

    name = "reading"

    def __init__(
        self,
        config: TextEncoderConfig,
        tokenizer: Tokenizer,
        gallery: Gallery,
        world: World,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.config, self.tokenizer, self.gallery = config, tokenizer, gallery
        self.recipe, self.device = recipe, device
        self.text_encoder = TextEncoder(config)
        start_small(self.text_encoder)
        self.foreteller = Foreteller(config.width)
        self.sides = Sides(config.width)
        parts = {"text_encoder": self.text_encoder, "foreteller": self.foreteller, "sides": self.sides}
        self.model = nn.ModuleDict(parts).to(device)
        self.sided = [number for number, scene in enumerate(gallery.scenes) if has_sides(scene)]
        self.settings: dict[str, Any] = {"text_encoder": asdict(config), "world": asdict(world)}

    def batch(self, step: int) -> Batch:
        """Numbers of pictures, their captions' tokens, and the classes of the whole pictures, (b, 4); then
        tokens and groups of as many scenes again that have sides, if the world has any.
        """
        rng = random.Random(f"reading {self.recipe.seed}/{step}")
        count = self.recipe.batch_size
        numbers = rng.sample(range(len(self.gallery.scenes)), count)
        scenes = [self.gallery.scenes[number] for number in numbers]
        classes = [
            [names.index(getattr(scene, field)) for field, names in WHOLE_PICTURE.items()]
            for scene in scenes
        ]
        batch = torch.tensor(numbers), self._tokens_of(scenes, rng), torch.tensor(classes)
        if not self.sided:
            return batch
        sided = [self.gallery.scenes[number] for number in rng.choices(self.sided, k=count)]
        return *batch, self._tokens_of(sided, rng), sides_of(sided)

    def _tokens_of(self, scenes: list[Scene], rng: random.Random) -> Tensor:
        captions = [prompt_for(scene, rng) for scene in scenes]
        return tokens_of(captions, self.tokenizer, self.config.max_length)

    def loss_of(self, *batch: Tensor) -> Tensor:
        numbers, tokens, classes, *sided = batch
        cells = self.foreteller(self.text_encoder(tokens))
        maps = coarser(self.gallery.exhibits(numbers).maps, SIDE)
        loss = self.foreteller.layout.loss(cells, maps) + self._picture_loss(cells, classes)
        if sided:
            tokens_of_sided, groups = sided
            loss = loss + self.sides.loss(self.text_encoder(tokens_of_sided), groups)
        return loss

    def _picture_loss(self, cells: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropies of what holds for the whole picture, told from the mean of its cells."""
        logits = self.foreteller.picture(cells.mean(dim=1)).split(
            [len(names) for names in WHOLE_PICTURE.values()], dim=1
        )
        pairs = zip(logits, classes.unbind(dim=1), strict=True)
        return torch.stack([cross_entropy(answer, right) for answer, right in pairs]).sum()


@torch.no_grad()
def start_small(text_encoder: TextEncoder) -> None:
    """Small embeddings, so that early steps are calm (Radford et al. 2019, §2.3)."""
    embeddings = text_encoder.text_model.embeddings
    embeddings.token_embedding.weight.mul_(0.02)
    embeddings.position_embedding.weight.mul_(0.01)
