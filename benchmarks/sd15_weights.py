"""A model of Stable Diffusion 1.5's size with random weights: as slow as the real one, without a download.

    python benchmarks/sd15_weights.py FOLDER          # 4.3 GB, a minute

Diffusers' and transformers' own classes build it, so that what the benchmarks load is nobody's home ground.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import gesso

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from torch import Tensor, nn
    from transformers import CLIPTextModel

VOCABULARY = Path(gesso.__file__).parent / "text" / "clip"
HEAD_WIDTH = 64  # of the text encoder


DEFAULT = Path(tempfile.gettempdir()) / "gesso-benchmark-sd15"
"""Where benchmarks keep the folder when they are not told."""


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        type=Path,
        default=DEFAULT,
        metavar="FOLDER",
        help="Diffusers folder to load; written if it does not exist (default: %(default)s, 4.3 GB)",
    )


def ensure(folder: Path) -> Path:
    """The folder, written in a process of its own if it is not there: to build it takes much memory."""
    if not folder.exists():
        subprocess.run([sys.executable, __file__, str(folder)], check=True, stdout=sys.stderr)
    return folder


def write(
    folder: Path,
    *,
    channels: tuple[int, ...] = (320, 640, 1280, 1280),
    image_channels: tuple[int, ...] = (128, 256, 512, 512),
    layers: int = 2,
    text_width: int = 768,
    text_layers: int = 12,
) -> None:
    """Write a Diffusers folder, whole or not at all. Left to the defaults it is SD 1.5, in float32.

    Args:
        channels: width of each level of the UNet, multiples of 32.
        image_channels: of the autoencoder, likewise.
        layers: ResnetBlocks a level.
        text_width: of the text encoder and the context, a multiple of 64.
        text_layers: of the text encoder.
    """
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTokenizer

    torch.manual_seed(0)
    unet = random_unet(channels, layers, text_width)
    autoencoder = random_autoencoder(image_channels, layers)
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=random_text_encoder(text_width, text_layers),
        tokenizer=CLIPTokenizer.from_pretrained(
            str(VOCABULARY), model_max_length=77, pad_token="<|endoftext|>"
        ),
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            set_alpha_to_one=False,
            clip_sample=False,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        pipeline.save_pretrained(str(unfinished))
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


def random_unet(channels: tuple[int, ...], layers: int, context_dim: int) -> UNet2DConditionModel:
    """The UNet of SD 1.x; its outputs have unit variance, as the noise that it is to predict."""
    import torch
    from diffusers import UNet2DConditionModel

    attending = len(channels) - 1
    unet = UNet2DConditionModel(
        sample_size=64,
        down_block_types=("CrossAttnDownBlock2D",) * attending + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * attending,
        block_out_channels=channels,
        layers_per_block=layers,
        cross_attention_dim=context_dim,
        attention_head_dim=8,
    ).eval()
    with torch.inference_mode():
        output = unet(torch.randn(1, 4, 16, 16), 500, torch.randn(1, 77, context_dim)).sample
    scale_output(unet.conv_out, output, 1.0)
    return unet


def random_autoencoder(channels: tuple[int, ...], layers: int) -> AutoencoderKL:
    """The autoencoder of SD 1.x; nearly all that it decodes lies between black and white."""
    import torch
    from diffusers import AutoencoderKL

    autoencoder = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=layers,
        latent_channels=4,
        sample_size=512,
    ).eval()
    with torch.inference_mode():
        output = autoencoder.decode(torch.randn(1, 4, 16, 16)).sample
    scale_output(autoencoder.decoder.conv_out, output, 0.4)
    return autoencoder


def random_text_encoder(width: int, layers: int) -> CLIPTextModel:
    """The text half of CLIP ViT-L/14."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // HEAD_WIDTH,
            projection_dim=width,
        )
    ).eval()


def scale_output(last: nn.Conv2d, output: Tensor, spread: float) -> None:
    """Make the standard deviation of what a network's last layer gave out into ``spread``."""
    import torch

    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(spread / output.std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="must not exist")
    folder = parser.parse_args().folder
    if folder.exists():
        parser.error(f"{folder} exists")
    write(folder)
    print(folder)


if __name__ == "__main__":
    main()
