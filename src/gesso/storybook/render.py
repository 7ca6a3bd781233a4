"""Scenes to images, with a map of what each pixel shows: many at once, at any size, antialiased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gesso.storybook.canvas import View
from gesso.storybook.ground import draw_ground, far_edge
from gesso.storybook.paste import draw_things
from gesso.storybook.scene import Scene
from gesso.storybook.sky import draw_sky
from gesso.storybook.style import BLOCKS, draw_style, few_shades, in_blocks
from gesso.storybook.weather import draw_weather


class Drawing(NamedTuple):
    """Pictures, and what their pixels show.

    Attributes:
        images: float32 in [-1, 1], (b, 3, size, size).
        owners: 0 where the sky is seen, 1 the ground, 2 + k the scene's k-th thing, uint8, (b, size, size).
    """

    images: Tensor
    owners: Tensor


def render(scenes: Sequence[Scene], size: int = 64, device: torch.device | str | None = None) -> Tensor:
    """Draw scenes.

    Args:
        scenes: what to draw, at least one.
        size: side of the pictures in pixels; what they show does not depend on it.
        device: where to draw; None is the CPU.

    Returns:
        Images, float32 in [-1, 1], (b, 3, size, size).
    """
    return draw(scenes, size, device).images


@torch.no_grad()
def draw(scenes: Sequence[Scene], size: int, device: torch.device | str | None = None) -> Drawing:
    """Draw scenes as ``render`` does, together with their maps of owners."""
    coarse = [number for number, scene in enumerate(scenes) if scene.style == "pixel art"]
    fine = [number for number, scene in enumerate(scenes) if scene.style != "pixel art"]
    parts: list[tuple[list[int], Tensor, Tensor]] = []
    if fine:
        parts.append((fine, *_paint([scenes[number] for number in fine], size, device)))
    if coarse:
        canvas, owners = _paint([scenes[number] for number in coarse], BLOCKS, device)
        blocks = in_blocks(few_shades(canvas), size), in_blocks(owners[:, None], size)[:, 0]
        parts.append((coarse, *blocks))
    order = torch.tensor([number for numbers, _, _ in parts for number in numbers]).argsort()
    canvas = torch.cat([canvas for _, canvas, _ in parts])[order]
    owners = torch.cat([owners for _, _, owners in parts])[order]
    return Drawing(canvas.clamp_(0, 1).mul_(2).sub_(1), owners)


def _paint(scenes: Sequence[Scene], size: int, device: torch.device | str | None) -> tuple[Tensor, Tensor]:
    """RGB in 0…1, (b, 3, size, size), and owners."""
    view = View.square(scenes, size, device)
    canvas = draw_ground(draw_sky(view), view)
    owners = (view.y > far_edge(view)).to(torch.uint8)  # (b, h, w)
    solid = draw_things(canvas, owners, view)
    return draw_style(draw_weather(canvas, view, solid), view, solid), owners
