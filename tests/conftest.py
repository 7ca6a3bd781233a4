"""Settings of the whole test run, and the model that tests draw with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("gesso", max_examples=50, deadline=None)  # a busy machine is no failure
settings.load_profile("gesso")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Diffusers folder called tiny: an SD 1.x model of random weights, with 64×64 pictures.

    Its text encoder has two layers and a vocabulary of 540 tokens, its autoencoder the usual factor of 8.
    """
    import torch

    from gesso.config import AutoencoderConfig, ModelConfig, TextEncoderConfig, UNetConfig
    from gesso.models.autoencoder import Autoencoder
    from gesso.models.text_encoder import TextEncoder
    from gesso.models.unet import UNet
    from gesso.text.vocabulary import train_tokenizer
    from gesso.weights.checkpoint import Checkpoint
    from gesso.weights.save import save_folder

    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(["a red house beside a pine tree, at night"], 540, folder / "words")
    config = ModelConfig(
        name="tiny",
        unet=UNetConfig(
            block_channels=(16, 32),
            layers_per_block=1,
            attention_levels=(True, False),
            heads=2,
            context_dim=16,
            groups=4,
            sample_size=8,
        ),
        autoencoder=AutoencoderConfig(block_channels=(8, 8, 16, 16), layers_per_block=1, groups=4),
        text_encoder=TextEncoderConfig(
            vocab_size=tokenizer.size, width=16, layers=2, heads=2, mlp_width=32
        ),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        checkpoint = Checkpoint(
            path=folder,
            config=config,
            unet=UNet(config.unet).state_dict(),
            autoencoder=Autoencoder(config.autoencoder).state_dict(),
            text_encoder=TextEncoder(config.text_encoder).state_dict(),
            tokenizer=folder / "words",
        )
    save_folder(checkpoint, folder / "tiny")
    return folder / "tiny"
