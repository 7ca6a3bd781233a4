"""The training of the built-in model: its autoencoder, its text encoder, then that and a UNet together.

The pictures are drawn by formulas, so nothing is downloaded and there is no end of them.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gesso.models.autoencoder import Autoencoder
from gesso.storybook.compose import sample_scene
from gesso.storybook.world import WHOLE, World
from gesso.text.caption_words import caption_words
from gesso.text.tokenizer import Tokenizer
from gesso.text.vocabulary import list_words, train_tokenizer
from gesso.training.autoencoder_task import AutoencoderTask, calibrate
from gesso.training.denoiser_task import DenoiserTask
from gesso.training.gallery import Easel, Gallery
from gesso.training.pictures import Pictures
from gesso.training.presets import Preset
from gesso.training.reading_task import ReadingTask
from gesso.training.scenes import worded
from gesso.training.trainer import Stage, Trainer
from gesso.weights import tokenizer_files
from gesso.weights.atomic import refuse_existing
from gesso.weights.checkpoint import Checkpoint
from gesso.weights.save import save_folder

CAPTIONS = 20_000
"""How many captions the vocabulary is learnt from."""

TAUGHT = 10_000
"""How many captions tell which words are taught; half as many lack one at most."""

VOCAB_SIZE = 2048
"""Its ids at most: enough to hold nearly every word of the captions whole, in both languages."""


class StorybookRun:
    """One training of the built-in model, stage by stage, in a folder it can be resumed from.

    Args:
        folder: gets ``tokenizer/``, what the stages resume from, their losses, and at the end ``model/``.
        preset: what is trained, and how.
        device: where to train.
        start: a model to go on from: its networks' sizes, vocabulary and autoencoder are kept, its text
            encoder and UNet learn on. None begins with nothing.

    Raises:
        ResumeError: the folder holds a run with other settings.
        OutputError: ``model/`` is there already, or the folder cannot be written.
    """

    def __init__(
        self, folder: Path, preset: Preset, device: torch.device, start: Checkpoint | None = None
    ) -> None:
        self.folder = folder
        self.preset = preset
        self.device = device
        self.start = start
        self.model_folder = folder / "model"
        refuse_existing(self.model_folder)
        self.config = preset.config if start is None else start.config
        self.states: dict[str, dict[str, Tensor]] = {}

    def stages(self) -> Iterator[Stage]:
        """The stages in order, each to be run to its end before the next is asked for."""
        tokenizer = self._vocabulary()
        autoencoder = yield from self._autoencoder()
        gallery = yield from self._gallery(autoencoder)
        read = yield from self._reader(tokenizer, gallery)
        world, recipe = self.preset.world, self.preset.denoiser
        task = DenoiserTask(self.config, tokenizer, read, gallery, world, recipe, self.device)
        if self.start is not None:
            task.unet.load_state_dict(self.start.unet)
        trainer = Trainer(task, recipe, self.folder)
        yield trainer
        for name in ("text_encoder", "unet"):
            self.states[name] = on_cpu(trainer.average.model.get_submodule(name))

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
        """Learnt from the whole world's captions, so that a wider one can be taught later.

        The words it lists are those of the world taught now, and those that the model gone on from knew.
        """
        folder, length = self.folder / "tokenizer", self.config.text_encoder.max_length
        if self.start is None:
            train_tokenizer(captions_of(WHOLE, CAPTIONS), VOCAB_SIZE, folder, max_length=length)
            taught = frozenset()
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not folder.exists():
                tokenizer_files.copy(self.start.tokenizer, folder, length)
            taught = Tokenizer.load(folder).caption_words
        if taught is not None:
            list_words(taught | caption_words(captions_of(self.preset.world, TAUGHT)), folder)
        tokenizer = Tokenizer.load(folder)
        vocabulary = replace(self.config.text_encoder, vocab_size=tokenizer.size)
        self.config = replace(self.config, text_encoder=vocabulary)
        return tokenizer

    def _autoencoder(self) -> Generator[Stage, None, Autoencoder]:
        """The autoencoder, trained; its config says how its latents are scaled."""
        world, recipe, size = self.preset.world, self.preset.autoencoder, self.config.image_size
        if self.start is None:
            pictures = Pictures(world, self.preset.drawn, size, recipe.seed, self.device)
            task = AutoencoderTask(self.config.autoencoder, pictures, world, recipe, self.device)
            trainer = Trainer(task, recipe, self.folder)
            if trainer.step < trainer.steps:
                yield pictures
            yield trainer
            autoencoder = trainer.average.model
            autoencoder.config = calibrate(autoencoder, size, world)
        else:
            autoencoder = Autoencoder(self.config.autoencoder)
            autoencoder.load_state_dict(self.start.autoencoder)
        self.config = replace(self.config, autoencoder=autoencoder.config)
        self.states["autoencoder"] = on_cpu(autoencoder)
        return autoencoder

    def _gallery(self, autoencoder: Autoencoder) -> Generator[Stage, None, Gallery]:
        """What the later stages see."""
        preset, settings = self.preset, {"autoencoder": asdict(autoencoder.config)}
        easel = Easel(autoencoder, self.config.image_size, self.device)
        gallery = Gallery(easel, preset.world, preset.stored, self.folder, settings, preset.denoiser.seed)
        yield gallery
        return gallery

    def _reader(self, tokenizer: Tokenizer, gallery: Gallery) -> Generator[Stage, None, dict[str, Tensor]]:
        """Weights of a text encoder that can read."""
        if self.start is not None:
            return self.start.text_encoder
        config, world, recipe = self.config.text_encoder, self.preset.world, self.preset.reading
        trainer = Trainer(
            ReadingTask(config, tokenizer, gallery, world, recipe, self.device), recipe, self.folder
        )
        yield trainer
        return on_cpu(trainer.average.model.get_submodule("text_encoder"))


def on_cpu(model: nn.Module) -> dict[str, Tensor]:
    """Its weights, brought back from the device."""
    return {name: weight.cpu() for name, weight in model.state_dict().items()}


def captions_of(world: World, count: int) -> Iterator[str]:
    """The same captions each time."""
    rng = random.Random(0)
    return (worded(sample_scene(rng, world), rng) for _ in range(count))
