"""Station 3: what the levels of the UNet do, seen by switching their skips off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn

from gesso.engine.view import replaced
from gesso.models.resnet import ResnetBlock
from gesso.models.unet import UNet, UpBlock
from gesso.pipeline.pipeline import Pipeline

from .chart import Line, line_chart
from .scenes import HOUSE_PROMPT, MUSHROOM_PROMPT
from .sheet import Row, sheet
from .shown import Shown, significant
from .walk import STEPS, Moment, denoiser, moments, walk

EVERY = 2
"""Of the steps of a walk, one in so many is measured."""


class SkiplessResnet(nn.Module):
    """Stands for a ResnetBlock of the way up, and reads zeros where it read a skip.

    Args:
        width: channels from the block below; those after it are the skip's.
    """

    def __init__(self, resnet: nn.Module, width: int) -> None:
        super().__init__()
        self.resnet = resnet
        self.width = width

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        below, skip = x.split([self.width, x.shape[1] - self.width], dim=1)
        return self.resnet(torch.cat([below, torch.zeros_like(skip)], dim=1), t)


def station(pipe: Pipeline) -> Shown:
    count = len(pipe.config.unet.block_channels)
    choices: list[tuple[int, ...]] = [(), *((level,) for level in range(count)), tuple(range(count))]
    unets = [without_skips(pipe.unet, levels) for levels in choices]
    names = [name(pipe, levels) for levels in choices]
    own = walk(pipe, denoiser(pipe, HOUSE_PROMPT))
    path = moments(pipe, own)[::EVERY]
    middle = path[len(path) // 2]
    changes = [changed(pipe, HOUSE_PROMPT, path, unet) for unet in unets[1:]]
    rows = [Row(prompt, drawn(pipe, prompt, unets)) for prompt in (HOUSE_PROMPT, MUSHROOM_PROMPT)]
    once = [denoiser(pipe, HOUSE_PROMPT, unet=unet)(*middle) for unet in unets]
    rows.append(Row(f"one estimate, at σ = {middle.sigma:.2f}", pipe.decode(torch.cat(once))))
    return Shown(
        {"levels": sheet(rows, names), "levels-change": _chart(path, changes, names[1:])},
        {
            "channels": ", ".join(map(str, pipe.config.unet.block_channels)),
            "sides": ", ".join(str(side(pipe, level)) for level in range(count)),
            "skips": sum(len(cast(UpBlock, block).resnets) for block in pipe.unet.up_blocks),
            "layers": pipe.config.unet.layers_per_block,
            "sigma": significant(middle.sigma.item()),
            **{
                f"level_{level}_{when}": significant(each[place])
                for level, each in enumerate(changes[:count])
                for when, place in (("first", 0), ("middle", len(path) // 2), ("last", -1))
            },
            "sigma_last": significant(path[-1].sigma.item()),
        },
    )


def drawn(pipe: Pipeline, prompt: str, unets: Sequence[UNet], steps: int = STEPS) -> list[Image.Image]:
    """Pictures of one prompt and seed by several networks."""
    walks = (walk(pipe, denoiser(pipe, prompt, unet=unet), steps) for unet in unets)
    return pipe.decode(torch.cat([each[-1].latents for each in walks]))


def without_skips(unet: UNet, levels: Collection[int]) -> UNet:
    """The same network with the same weights, that reads zeros for the skips of some levels.

    Args:
        levels: counted from the finest, 0. A level's skips are those that its ResnetBlocks on the way up
            read: all of one size, among them what the Downsample above, or conv_in, put out.
    """
    parts: dict[str, nn.Module] = {}
    width = unet.config.block_channels[-1]
    for index, block in enumerate(unet.up_blocks):
        level = len(unet.up_blocks) - 1 - index
        for layer, resnet in enumerate(cast(UpBlock, block).resnets):
            if level in levels:
                parts[f"up_blocks.{index}.resnets.{layer}"] = SkiplessResnet(resnet, width)
            width = cast(ResnetBlock, resnet).conv2.out_channels
    return replaced(unet, parts)


def changed(pipe: Pipeline, prompt: str, path: Sequence[Moment], unet: UNet) -> list[float]:
    """How far another network's estimates are from the model's own, of the same latents.

    Both are asked without guidance, and neither walks on with what it found, so nothing adds up.

    Returns:
        One a moment: root mean square of the difference, divided by that of the model's estimate.
    """
    own, other = (denoiser(pipe, prompt, 1.0, each) for each in (pipe.unet, unet))
    estimates = [(own(*moment), other(*moment)) for moment in path]
    return [float((other - own).norm() / own.norm()) for own, other in estimates]


def side(pipe: Pipeline, level: int) -> int:
    """Of a level's feature maps, in pixels."""
    return -(-pipe.config.unet.sample_size // 2**level)


def name(pipe: Pipeline, levels: Sequence[int]) -> str:
    if not levels:
        return "as trained"
    if len(levels) > 1:
        return "no skips at all"
    (only,) = levels
    return f"no skips at {side(pipe, only)}×{side(pipe, only)}"


def _chart(path: Sequence[Moment], changes: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    levels = [float(moment.sigma) for moment in path]
    lines = [
        Line(name, [*zip(levels, each, strict=True)]) for name, each in zip(names, changes, strict=True)
    ]
    return line_chart(
        "How far the estimate moves when a level's skips are off",
        lines,
        x_title="noise level σ; a walk goes from right to left",
        y_title="difference to the model's own estimate, relative",
    )
