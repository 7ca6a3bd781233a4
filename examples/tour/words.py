"""Station 5: where each word of the prompt is looked up."""

from __future__ import annotations

import torch
from PIL import Image

from gesso.pipeline.heatmap_sheet import heatmap_sheet
from gesso.pipeline.heatmaps import HeatmapRecorder, Heatmaps
from gesso.pipeline.pipeline import Pipeline, last_step
from gesso.pipeline.request import GenerationRequest

from .scenes import HOUSE_PROMPT, MUSHROOM_PROMPT
from .shown import Shown, significant
from .walk import SEED, STEPS


def station(pipe: Pipeline) -> Shown:
    picture, house = recorded(pipe, HOUSE_PROMPT)
    other, mushroom = recorded(pipe, MUSHROOM_PROMPT)
    return Shown(
        {
            "words-house": heatmap_sheet(picture, house, tile_size=176),
            "words-mushroom": heatmap_sheet(other, mushroom, tile_size=176),
        },
        {
            "unsaid": significant(1 - house.maps.sum(0).mean().item()),
            "red_house": significant(agreement(house, "red", "house")),
            "red_tree": significant(agreement(house, "red", "tree")),
            "pine_tree": significant(agreement(house, "pine", "tree")),
            "house_tree": significant(agreement(house, "house", "tree")),
            "house_beside": significant(agreement(house, "house", "beside")),
            "tree_at": significant(agreement(house, "tree", "at")),
            "orange_mushroom": significant(agreement(mushroom, "orange", "mushroom")),
            "mushroom_grass": significant(agreement(mushroom, "mushroom", "grass")),
        },
    )


def recorded(pipe: Pipeline, prompt: str, steps: int = STEPS) -> tuple[Image.Image, Heatmaps]:
    """A picture, and the heatmaps of its words over all steps."""
    recorder = HeatmapRecorder()
    request = GenerationRequest(prompt, seed=SEED, steps=steps, sampler="euler", schedule="karras")
    latents = last_step(pipe.stream(request, heatmaps=recorder)).latents
    return pipe.decode(latents)[0], recorder.heatmaps()[0]


def agreement(heatmaps: Heatmaps, first: str, second: str) -> float:
    """Correlation of two words' maps over the pixels: 1 where both look at the same places, 0 at random."""
    places = [heatmaps.words.index(word) for word in (first, second)]
    return float(torch.corrcoef(heatmaps.maps[places].flatten(1))[0, 1])
