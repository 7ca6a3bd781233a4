"""Which weights are in memory when: those of the part that is running, as far as the rest can come back.

A picture needs the text encoder, then the UNet, then the decoder. Mapped weights come back from the
system's file cache, about a tenth of a second for a UNet, and what the decoder's convolutions prepare is
made anew in less; so none of them waits in memory while another part runs.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from gesso.engine.prepared import forget
from gesso.models.resnet import ResnetBlock, Upsample
from gesso.weights.checkpoint import Models
from gesso.weights.pages import release


def keep_one_part(models: Models) -> None:
    """Let each part's mapped weights leave memory when it is done; the values stay what they are."""
    decoder = models.autoencoder.decoder

    def leave(module: nn.Module, *_: Any) -> None:
        release(module.parameters())

    def unet_leaves(*_: Any) -> None:
        release(models.unet.parameters())

    def forget_prepared(module: nn.Module, *_: Any) -> None:
        for each in module.modules():
            forget(each)

    models.text_encoder.register_forward_hook(leave)
    decoder.register_forward_pre_hook(unet_leaves)
    decoder.register_forward_hook(leave)
    for block in (each for each in decoder.modules() if isinstance(each, ResnetBlock | Upsample)):
        block.register_forward_hook(forget_prepared)
