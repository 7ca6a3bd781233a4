"""Which weights are in memory when: those of the part that is running, as far as the rest can come back.

A picture needs the text encoder, then the UNet, then the decoder. Mapped weights come back from the
system's file cache at tens of gigabytes a second, and what convolutions have prepared for small maps is
soon made anew; so neither waits in memory while another part runs. Within the UNet the widest transformers
take turns: together they are 0.8 GB of SD 1.x, and bringing them back takes about 0.1 s a step.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from gesso.engine.cpu.packed_conv import PackedConv2d
from gesso.engine.prepared import forget
from gesso.models.attention import SpatialTransformer
from gesso.models.resnet import ResnetBlock, Upsample
from gesso.weights.checkpoint import Models
from gesso.weights.pages import release

LARGE = 64 * 1024**2
"""Bytes of weights from which a transformer of the UNet leaves memory when it is done."""


def keep_one_part(models: Models) -> None:
    """Let mapped weights leave memory when their part is done; the values stay what they are.

    From then on nobody may write to the weights from another thread while a picture is drawn.
    """
    decoder = models.autoencoder.decoder

    def unet_leaves(*_: Any) -> None:
        release(models.unet.parameters())
        for each in models.unet.modules():
            if isinstance(each, PackedConv2d):
                each.packed = None

    models.text_encoder.register_forward_hook(leave)
    for transformer in (each for each in models.unet.modules() if isinstance(each, SpatialTransformer)):
        if sum(parameter.nbytes for parameter in transformer.parameters()) >= LARGE:
            transformer.register_forward_hook(leave)
    decoder.register_forward_pre_hook(unet_leaves)
    decoder.register_forward_hook(leave)
    for block in (each for each in decoder.modules() if isinstance(each, ResnetBlock | Upsample)):
        block.register_forward_hook(forget_prepared)


def leave(module: nn.Module, *_: Any) -> None:
    release(module.parameters())


def forget_prepared(module: nn.Module, *_: Any) -> None:
    for each in module.modules():
        forget(each)
