"""FreeU: more of what the UNet's way up has worked out, less of what the skips bring past the bottom.

Si et al. 2024, "FreeU: Free Lunch in Diffusion U-Net". The backbone carries the objects, the skips the
detail; scaling one up and the low frequencies of the other down costs next to nothing.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gesso.engine.view import replaced
from gesso.models.resnet import ResnetBlock
from gesso.models.unet import UNet, UpBlock

FreeU = tuple[float, float, float, float]
"""(b1, b2, s1, s2): factors of the backbone and of the skips, in the first and in the second block."""


def freed(unet: UNet, freeu: FreeU | None) -> UNet:
    """The same network, with the same weights, whose first two blocks of the way up weigh what they read.

    As in Diffusers: half of the backbone's channels are multiplied by a constant. The authors' code tells
    the blocks by their width, and its second version lets the factor follow the mean of the feature map, so
    its settings are others.

    Args:
        freeu: None gives the network itself.
    """
    if freeu is None:
        return unet
    b1, b2, s1, s2 = freeu
    parts: dict[str, nn.Module] = {}
    width = unet.config.block_channels[-1]
    for index, (block, backbone, skip) in enumerate(zip(unet.up_blocks, (b1, b2), (s1, s2), strict=False)):
        for layer, resnet in enumerate(cast(UpBlock, block).resnets):
            parts[f"up_blocks.{index}.resnets.{layer}"] = FreeResnet(resnet, width, backbone, skip)
            width = cast(ResnetBlock, resnet).conv2.out_channels
    return replaced(unet, parts)


class FreeResnet(nn.Module):
    """Stands for a ResnetBlock that reads a backbone, of ``width`` channels, and after it a skip."""

    def __init__(self, resnet: nn.Module, width: int, backbone: float, skip: float) -> None:
        super().__init__()
        self.resnet = resnet
        self.width, self.backbone, self.skip = width, backbone, skip

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        half = self.width // 2
        scaled, rest, skip = x.split([half, self.width - half, x.shape[1] - self.width], dim=1)
        return self.resnet(torch.cat([scaled * self.backbone, rest, scale_low(skip, self.skip)], dim=1), t)


def scale_low(x: Tensor, factor: float) -> Tensor:
    """(b, c, h, w) with its lowest frequencies, 0 and −1 in each direction, multiplied by a factor.

    Those are the two by two in the middle of a shifted spectrum, which has no middle when h and w are even.
    """
    gain = torch.ones(x.shape[-2:], device=x.device)
    gain[[[0], [-1]], [0, -1]] = factor
    return torch.fft.ifft2(torch.fft.fft2(x.float()) * gain).real.to(x.dtype)
