"""The training of the probe, which reads pictures for the built-in model's score."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import torch

from gesso.models.autoencoder import Autoencoder
from gesso.storybook.compose import sample_scene
from gesso.storybook.judge import judge, share_right
from gesso.storybook.labels import labels
from gesso.storybook.probe import SIZE, Probe, ProbeConfig
from gesso.storybook.reading import read
from gesso.storybook.render import render
from gesso.storybook.world import WHOLE, World
from gesso.training.probe_task import ProbeTask
from gesso.training.recipe import Recipe
from gesso.training.trainer import Trainer
from gesso.weights.atomic import new_file, refuse_existing
from gesso.weights.safetensors_file import write_safetensors

PROBE_RECIPE = Recipe(
    steps=1500, batch_size=16, learning_rate=2e-3, warmup=50, cooldown=0.5, ema_decay=0.99
)

EXAMINED = 2000
"""How many renderings that training did not see the accuracy is measured on."""


class ProbeRun:
    """One training of the probe, in a folder it can be resumed from.

    Args:
        folder: gets the trainer's files, and at the end ``probe.safetensors``.
        device: where to train.
        world: what it learns to read, and is measured on.
        steps: instead of the recipe's.
        autoencoder: whose blur the probe is to bear; None trains on renderings alone.
        autoencoder_size: side of the pictures it was trained on.

    Raises:
        ResumeError: the folder holds a run with other settings.
        OutputError: the probe is there already, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        world: World = WHOLE,
        steps: int | None = None,
        autoencoder: Autoencoder | None = None,
        autoencoder_size: int = SIZE,
    ) -> None:
        self.path = folder / "probe.safetensors"
        refuse_existing(self.path)
        self.device = device
        self.world = world
        recipe = replace(PROBE_RECIPE, steps=steps or PROBE_RECIPE.steps)
        task = ProbeTask(ProbeConfig(), recipe, device, world, autoencoder, autoencoder_size)
        self.trainer: Trainer[Probe] = Trainer(task, recipe, folder)

    def export(self) -> Path:
        """Measure the averaged weights and write them in half precision; the file's path."""
        probe = self.trainer.average.model
        accuracy = examine(probe, self.device, EXAMINED, self.world)
        metadata = {
            "channels": json.dumps(probe.config.channels),
            "accuracy": json.dumps(accuracy),
            "world": self.world.name,
        }
        with new_file(self.path) as path:
            write_safetensors(path, probe.state_dict(), metadata, torch.float16)
        return self.path


@torch.no_grad()
def examine(probe: Probe, device: torch.device, count: int, world: World) -> dict[str, float]:
    """For each attribute the share that the probe reads rightly off renderings it has not seen."""
    rng = random.Random("examination")
    scenes = [sample_scene(rng, world, held_out=None) for _ in range(count)]
    verdicts = []
    for start in range(0, count, 50):
        part = scenes[start : start + 50]
        readings = read(probe, render(part, SIZE, device))
        verdicts += [judge(labels(scene), reading) for scene, reading in zip(part, readings, strict=True)]
    return share_right(verdicts)
