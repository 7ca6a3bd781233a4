"""What lies behind the things: sky, sun or moon, clouds and stars, and the ground."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.palette import RGB
from gesso.storybook.scene import Ground, Scene
from gesso.storybook.shapes import circle, ellipse, subtraction, union

HILLS: dict[Ground, float] = {"grass": 0.028, "snow": 0.034, "sand": 0.02, "water": 0.0}
"""How far the ground rolls above and below its line, in picture units."""

Place = tuple[Tensor, Tensor]  # x and y of the sun or moon, (b, 1, 1) each


def draw_backdrop(scenes: Sequence[Scene], x: Tensor, y: Tensor) -> Tensor:
    """Draw sky and ground.

    Args:
        scenes: b of them.
        x: picture coordinates of the columns, (1, 1, w).
        y: picture coordinates of the rows, (1, h, 1).

    Returns:
        RGB in 0…1, (b, 3, h, w).
    """
    backdrops = [scene.backdrop for scene in scenes]
    horizon, light_x, light_y, phase = (
        x.new_tensor([getattr(backdrop, name) for backdrop in backdrops])[:, None, None]
        for name in ("horizon", "light_x", "light_y", "phase")
    )
    canvas = _draw_sky(scenes, y, horizon).expand(-1, -1, -1, x.shape[-1]).contiguous()
    for sky, draw in (("day", _draw_day), ("sunset", _draw_sunset), ("night", _draw_night)):
        chosen = [index for index, scene in enumerate(scenes) if scene.sky == sky]
        if chosen:
            place = (light_x[chosen], horizon[chosen] if sky == "sunset" else light_y[chosen])
            canvas[chosen] = draw(canvas[chosen], x, y, place, phase[chosen])
    return _draw_ground(canvas, scenes, x, y, horizon, phase)


def lay(
    canvas: Tensor, distance: Tensor, color: Tensor | RGB, opacity: float = 1.0, soft: float = 0.0
) -> Tensor:
    """Paint a shape over a canvas.

    Args:
        canvas: (b, 3, h, w).
        distance: signed distance in picture units, (b, h, w) or broadcastable.
        color: (b, 3), or one for all.
        opacity: 0…1.
        soft: width of the blurred edge in picture units; 0 is one pixel.
    """
    paint = color if isinstance(color, Tensor) else canvas.new_tensor(color)[None]
    edge = max(soft, 1 / canvas.shape[-2])
    coverage = (0.5 - distance / edge).clamp(0, 1) * opacity
    return canvas + coverage[:, None] * (paint[:, :, None, None] - canvas)


def _draw_sky(scenes: Sequence[Scene], y: Tensor, horizon: Tensor) -> Tensor:
    """A gradient of three colours from the top to the horizon. (b, 3, h, 1)"""
    top, middle, low = y.new_tensor([palette.SKY_COLORS[scene.sky] for scene in scenes]).unbind(1)
    height = (y / horizon)[:, None]  # (b, 1, h, 1)
    upper, lower = (2 * height).clamp(0, 1), (2 * height - 1).clamp(0, 1)
    sky = top[..., None, None] + upper * (middle - top)[..., None, None]
    return sky + lower * (low - middle)[..., None, None]


def _draw_day(canvas: Tensor, x: Tensor, y: Tensor, place: Place, phase: Tensor) -> Tensor:
    sun = circle(x - place[0], y - place[1], (0, 0), 0.085)
    canvas = lay(canvas, sun - 0.035, palette.SUN, opacity=0.45, soft=0.08)
    canvas = lay(canvas, sun, palette.SUN)
    return _draw_clouds(canvas, x, y, place[0], phase, palette.CLOUDS["day"])


def _draw_sunset(canvas: Tensor, x: Tensor, y: Tensor, place: Place, phase: Tensor) -> Tensor:
    sun = circle(x - place[0], y - place[1] + 0.01, (0, 0), 0.115)
    canvas = lay(canvas, sun - 0.08, palette.LOW_SUN, opacity=0.5, soft=0.24)
    canvas = lay(canvas, sun, palette.LOW_SUN)
    return _draw_clouds(canvas, x, y, place[0], phase, palette.CLOUDS["sunset"])


def _draw_night(canvas: Tensor, x: Tensor, y: Tensor, place: Place, phase: Tensor) -> Tensor:
    disc = circle(x - place[0], y - place[1], (0, 0), 0.085)
    canvas = lay(canvas, subtraction(_stars(x, y, phase), disc - 0.06), palette.STARS)
    bite = circle(x - place[0], y - place[1], (0.045, -0.025), 0.07)
    canvas = lay(canvas, disc - 0.03, palette.MOON, opacity=0.25, soft=0.1)
    return lay(canvas, subtraction(disc, bite), palette.MOON)


def _draw_clouds(
    canvas: Tensor, x: Tensor, y: Tensor, light_x: Tensor, phase: Tensor, color: RGB
) -> Tensor:
    """Two clouds on the side away from the sun."""
    for number in range(2):
        shift = (phase * (3 + 4 * number)).frac() - 0.5
        side = torch.where(light_x < 0.5, 1.0, -1.0)
        scale = 1 + 0.5 * shift
        u = (x - 0.5 - side * (0.34 - 0.32 * number) - 0.14 * shift) / scale
        v = (y - 0.11 - 0.12 * number - 0.05 * shift) / scale
        puffs = union(
            ellipse(u, v, (0.0, 0.0), (0.115, 0.030)),
            circle(u, v, (-0.03, -0.018), 0.034),
            circle(u, v, (0.025, -0.026), 0.042),
        )
        canvas = lay(canvas, puffs, color, opacity=0.85)
    return canvas


def _stars(x: Tensor, y: Tensor, phase: Tensor) -> Tensor:
    """Distance to the star of each cell of a grid; some cells have none."""
    columns, rows = 6, 7
    column, row = (x * columns).long(), (y * rows).long()
    cells = torch.arange(columns * rows, device=x.device).view(1, rows, columns)
    random = _scramble(cells + (phase * 2**20).long() * cells.numel())  # (b, rows, columns)
    size, across, along = ((random >> shift & 255) / 255 for shift in (0, 8, 16))
    radius = torch.where(size < 0.35, -1.0, 0.007 + 0.009 * size)
    fading = 1 - torch.arange(rows, device=x.device)[:, None] / rows  # smaller towards the horizon

    def of_pixels(values: Tensor) -> Tensor:
        return values.expand_as(random)[:, row.flatten()][:, :, column.flatten()]  # (b, h, w)

    u = x - (column + 0.25 + 0.5 * of_pixels(across)) / columns
    v = y - (row + 0.25 + 0.5 * of_pixels(along)) / rows
    return torch.sqrt(u**2 + v**2) - of_pixels(radius * fading)


def _scramble(numbers: Tensor) -> Tensor:
    """Integers to integers of 32 bits that look random, the same on every machine."""
    for shift, factor in ((17, 0x2D51ACB5), (11, 0x4C1B5159), (15, 0x31848BAB)):
        numbers = (numbers ^ numbers >> shift) * factor & 0xFFFFFFFF
    return numbers ^ numbers >> 14


def _draw_ground(
    canvas: Tensor, scenes: Sequence[Scene], x: Tensor, y: Tensor, horizon: Tensor, phase: Tensor
) -> Tensor:
    colors = [palette.GROUND_COLORS[scene.ground, scene.sky] for scene in scenes]
    far, near = canvas.new_tensor(colors).unbind(1)  # (b, 3) each
    rolling = x.new_tensor([HILLS[scene.ground] for scene in scenes])[:, None, None]
    turn = 2 * math.pi * phase
    far_line = horizon + rolling * torch.sin(5.5 * x + turn)
    canvas = lay(canvas, far_line - y, far)
    near_line = horizon + 0.11 + 0.7 * rolling * torch.sin(4.0 * x + 2.3 * turn)
    canvas = lay(canvas, near_line - y, near)
    wet = [index for index, scene in enumerate(scenes) if scene.ground == "water"]
    if wet:
        canvas[wet] = _draw_waves(canvas[wet], x, y, horizon[wet], phase[wet], far[wet])
    return canvas


def _draw_waves(
    canvas: Tensor, x: Tensor, y: Tensor, horizon: Tensor, phase: Tensor, color: Tensor
) -> Tensor:
    """Three rows of short strokes."""
    for number in range(3):
        line = horizon + 0.16 + 0.085 * number
        along = (x * 2.5 + 7 * phase + 0.37 * number).frac() - 0.5  # -0.5…0.5 within a stroke and its gap
        height = y - line + 0.012 * torch.cos(2 * math.pi * along)
        stroke = torch.maximum(height.abs() - 0.009, (along.abs() - 0.28) / 2.5)
        canvas = lay(canvas, stroke, color, opacity=0.8)
    return canvas
