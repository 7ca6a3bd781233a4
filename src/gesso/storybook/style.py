"""Ways of drawing the same scene: filters over a finished picture.

"picture book" has none. "flat" is drawn without shade in the first place, and "pixel art" small; see
``render``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from gesso.storybook import palette
from gesso.storybook.canvas import View
from gesso.storybook.pattern import clouded

BLOCKS = 32
"""Side of a pixel-art picture in its large pixels."""

SHADES = 7
"""Steps of each colour channel in pixel art."""


def draw_style(canvas: Tensor, view: View, solid: Tensor) -> Tensor:
    """Filter the pictures whose style asks for it.

    Args:
        canvas: (b, 3, h, w), RGB in 0…1.
        solid: how far each pixel shows a thing, 0…1, (b, h, w).
    """
    for style, paint in (("watercolour", watercolour), ("pencil", pencil)):
        chosen = view.where(lambda scene, style=style: scene.style == style)
        if chosen:
            canvas[chosen] = paint(canvas[chosen].clamp(0, 1), view.only(chosen), solid[chosen])
    return canvas


def watercolour(canvas: Tensor, view: View, solid: Tensor) -> Tensor:
    """Thin paint that gathers at edges and in clouds, on paper that stays white at the border."""
    paper = canvas.new_tensor(palette.PAPER)[None, :, None, None]
    bled = _blurred(canvas, 0.016)
    edges = (canvas - _blurred(bled, 0.03)).abs().amax(dim=1, keepdim=True)  # (b, 1, h, w)
    pools = clouded(view.phase, 9, view.size)
    pigment = 0.62 + 0.30 * pools + 0.6 * edges + 0.10 * solid[:, None]
    painted = paper - (paper - torch.lerp(canvas, bled, 0.55)) * pigment
    inside = torch.minimum(
        torch.minimum(view.x, 1 - view.x).expand(1, *view.size), torch.minimum(view.y, 1 - view.y)
    )[:, None]
    wavy = inside - 0.012 - 0.05 * clouded((view.phase * 7).frac(), 14, view.size)
    return torch.lerp(paper.expand_as(painted), painted, (0.5 + wavy / 0.016).clamp(0, 1))


def pencil(canvas: Tensor, view: View, solid: Tensor) -> Tensor:
    """Coloured pencil: dark outlines, slanted strokes, paper in between."""
    paper = canvas.new_tensor(palette.PAPER)[None, :, None, None]
    soft = _blurred(canvas, 0.012)
    across = pad(soft[..., 2:] - soft[..., :-2], (1, 1, 0, 0), mode="replicate")
    down = pad(soft[..., 2:, :] - soft[..., :-2, :], (0, 0, 1, 1), mode="replicate")
    slope = torch.sqrt((across**2 + down**2).sum(dim=1, keepdim=True)) * (view.size[0] / 128)
    outline = ((slope - 0.20) * 1.8).clamp(0, 0.75)
    strokes = torch.sin(
        2 * math.pi * (view.x + 0.8 * view.y) * 16 + 3 * clouded(view.phase, 5, view.size)[:, 0]
    )
    deep = 0.04 + 0.08 * canvas.mean(dim=1)  # in the dark the paper between the strokes would glare
    pressure = 0.82 + (deep * strokes)[:, None] + 0.12 * solid[:, None]
    drawn = paper - (paper - canvas) * pressure.clamp_max(1)
    graphite = canvas.new_tensor(palette.GRAPHITE)[None, :, None, None]
    return torch.lerp(drawn, graphite.expand_as(drawn), outline)


def few_shades(canvas: Tensor) -> Tensor:
    """Each channel in a few steps."""
    return (canvas * (SHADES - 1)).round() / (SHADES - 1)


def in_blocks(small: Tensor, size: int) -> Tensor:
    """A picture, or a map of integers, with its pixels as blocks: (b, c, k, k) -> (b, c, size, size)."""
    return interpolate(small.to(torch.float32), size=(size, size), mode="nearest").to(small.dtype)


def _blurred(canvas: Tensor, width: float) -> Tensor:
    """A box of so wide a side, in picture units, moved twice over the picture."""
    reach = max(1, round(width * canvas.shape[-1] / 2))
    for _ in range(2):
        spread = pad(canvas, (reach, reach, reach, reach), mode="replicate")
        canvas = avg_pool2d(avg_pool2d(spread, (2 * reach + 1, 1), 1), (1, 2 * reach + 1), 1)
    return canvas
