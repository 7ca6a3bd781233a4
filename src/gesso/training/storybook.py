"""The training of the built-in model: its autoencoder, its text encoder, then that and a UNet together.

The pictures are drawn by formulas, so nothing is downloaded and there is no end of them.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from gesso.models.autoencoder import Autoencoder
from gesso.storybook.compose import sample_scene
from gesso.text.tokenizer import Tokenizer
from gesso.text.vocabulary import train_tokenizer
from gesso.training.autoencoder_task import AutoencoderTask, calibrate
from gesso.training.denoiser_task import DenoiserTask
from gesso.training.gallery import Easel, FreshGallery, Gallery, StoredGallery
from gesso.training.presets import Preset
from gesso.training.reading_task import ReadingTask
from gesso.training.scenes import worded
from gesso.training.trainer import Stage, Trainer
from gesso.weights.atomic import refuse_existing
from gesso.weights.checkpoint import Checkpoint
from gesso.weights.save import save_folder

CAPTIONS = 20_000
"""How many captions the vocabulary is learnt from."""

VOCAB_SIZE = 1536
"""Its ids at most: enough to hold every word of the captions whole, in both languages."""


class StorybookRun:
    """One training of the built-in model, stage by stage, in a folder it can be resumed from.

    Args:
        folder: gets ``tokenizer/``, what the stages resume from, their losses, and at the end ``model/``.
        preset: what is trained, and how.
        device: where to train.

    Raises:
        ResumeError: the folder holds a run with other settings.
        OutputError: ``model/`` is there already, or the folder cannot be written.
    """

    def __init__(self, folder: Path, preset: Preset, device: torch.device) -> None:
        self.folder = folder
        self.preset = preset
        self.device = device
        self.model_folder = folder / "model"
        refuse_existing(self.model_folder)
        self.config = preset.config
        self.states: dict[str, dict[str, Tensor]] = {}

    def stages(self) -> Iterator[Stage]:
        """The stages in order, each to be run to its end before the next is asked for."""
        preset, folder, device = self.preset, self.folder, self.device
        tokenizer = self._vocabulary()
        vocabulary = replace(self.config.text_encoder, vocab_size=tokenizer.size)
        self.config = replace(self.config, text_encoder=vocabulary)
        size = self.config.image_size

        task = AutoencoderTask(self.config.autoencoder, size, preset.world, preset.autoencoder, device)
        trainer = Trainer(task, preset.autoencoder, folder)
        yield trainer
        gallery = yield from self._gallery(trainer.average.model)

        reading = ReadingTask(vocabulary, tokenizer, gallery, preset.world, preset.reading, device)
        reader = Trainer(reading, preset.reading, folder)
        yield reader
        read = reader.average.model.get_submodule("text_encoder").state_dict()

        drawing = DenoiserTask(self.config, tokenizer, read, gallery, preset.world, preset.denoiser, device)
        denoiser = Trainer(drawing, preset.denoiser, folder)
        yield denoiser
        for name in ("text_encoder", "unet"):
            self.states[name] = denoiser.average.model.get_submodule(name).state_dict()

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

    def _gallery(self, autoencoder: Autoencoder) -> Generator[Stage, None, Gallery]:
        """Where the later stages' pictures come from; yields the stage that stores them, if any."""
        world, size, count = self.preset.world, self.config.image_size, self.preset.stored
        calibrated = calibrate(autoencoder, size, world)
        autoencoder.config = calibrated
        self.config = replace(self.config, autoencoder=calibrated)
        self.states["autoencoder"] = autoencoder.state_dict()
        easel = Easel(autoencoder, size, self.device)
        if not count:
            return FreshGallery(easel, world)
        gallery = StoredGallery(easel, world, count, self.folder, {"autoencoder": asdict(calibrated)})
        yield gallery
        return gallery

    def _vocabulary(self) -> Tokenizer:
        """Learnt from the whole world's captions, so that a wider one can be taught later."""
        rng = random.Random(0)
        captions = (worded(sample_scene(rng), rng) for _ in range(CAPTIONS))
        length = self.config.text_encoder.max_length
        return train_tokenizer(captions, VOCAB_SIZE, self.folder / "tokenizer", max_length=length)
