"""The training of the built-in model: its autoencoder, then its text encoder and UNet together.

The pictures are drawn as they are needed, so no picture is ever seen twice and nothing is downloaded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gesso.config import STORYBOOK
from gesso.storybook.captions import caption
from gesso.storybook.compose import sample_scene
from gesso.text.tokenizer import Tokenizer
from gesso.text.vocabulary import train_tokenizer
from gesso.training.autoencoder_task import AutoencoderTask, calibrate
from gesso.training.denoiser_task import DenoiserTask
from gesso.training.recipe import Recipe
from gesso.training.trainer import Trainer
from gesso.weights.atomic import refuse_existing
from gesso.weights.checkpoint import Checkpoint
from gesso.weights.save import save_folder

AUTOENCODER_RECIPE = Recipe(steps=3400, batch_size=8, learning_rate=1e-3)
DENOISER_RECIPE = Recipe(
    steps=4000, batch_size=32, learning_rate=7e-4, warmup=100, optimizer="muon", ema_decay=0.995
)

CAPTIONS = 20_000
"""How many captions the vocabulary is learnt from."""

VOCAB_SIZE = 1024
"""Its ids at most; the English captions' words need 959. With Chinese ones 1,536 keep both as short."""


class StorybookRun:
    """One training of the built-in model, stage by stage, in a folder it can be resumed from.

    Args:
        folder: gets ``tokenizer/``, the trainers' files, and at the end ``model/``.
        device: where to train.
        autoencoder_steps, denoiser_steps: instead of the recipes'.

    Raises:
        ResumeError: the folder holds a run with other settings.
        OutputError: ``model/`` is there already, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        autoencoder_steps: int | None = None,
        denoiser_steps: int | None = None,
    ) -> None:
        self.folder = folder
        self.device = device
        self.model_folder = folder / "model"
        refuse_existing(self.model_folder)
        first, second = AUTOENCODER_RECIPE, DENOISER_RECIPE
        self.autoencoder_recipe = replace(first, steps=autoencoder_steps or first.steps)
        self.denoiser_recipe = replace(second, steps=denoiser_steps or second.steps)
        self.config = STORYBOOK
        self.states: dict[str, dict[str, Tensor]] = {}

    def stages(self) -> Iterator[Trainer[Any]]:
        """The trainers in order, each to be run to its end before the next is asked for."""
        tokenizer = self._vocabulary()
        vocabulary = replace(self.config.text_encoder, vocab_size=tokenizer.size)
        self.config = replace(self.config, text_encoder=vocabulary)
        size = self.config.image_size

        trainer = Trainer(
            AutoencoderTask(self.config.autoencoder, size, self.autoencoder_recipe, self.device),
            self.autoencoder_recipe,
            self.folder,
        )
        yield trainer
        autoencoder = trainer.average.model
        calibrated = calibrate(autoencoder, size)
        autoencoder.config = calibrated
        self.config = replace(self.config, autoencoder=calibrated)
        self.states["autoencoder"] = autoencoder.state_dict()

        task = DenoiserTask(self.config, autoencoder, tokenizer, self.denoiser_recipe, self.device)
        trainer = Trainer(task, self.denoiser_recipe, self.folder)
        yield trainer
        for name, part in trainer.average.model.named_children():
            self.states[name] = part.state_dict()

    def export(self) -> Path:
        """Write the averaged weights in half precision as a Diffusers folder; its path."""
        checkpoint = Checkpoint(
            path=self.model_folder,
            config=self.config,
            unet=self.states["unet"],
            autoencoder=self.states["autoencoder"],
            text_encoder=self.states["text_encoder"],
            tokenizer=self.folder / "tokenizer",
        )
        save_folder(checkpoint, self.model_folder, dtype=torch.float16)
        return self.model_folder

    def _vocabulary(self) -> Tokenizer:
        rng = random.Random(AUTOENCODER_RECIPE.seed)
        captions = (caption(sample_scene(rng), rng) for _ in range(CAPTIONS))
        return train_tokenizer(captions, VOCAB_SIZE, self.folder / "tokenizer")
