"""The lower part of a picture: grass, snow, sand or water, in two waves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.canvas import View, lay
from gesso.storybook.pattern import scatter
from gesso.storybook.scene import Ground

HILLS: dict[Ground, float] = {"grass": 0.028, "snow": 0.034, "sand": 0.02, "water": 0.0}
"""How far the ground rolls above and below its line, in picture units."""

LIGHT_PATHS = {"day": palette.SNOW, "sunset": palette.LOW_SUN, "night": palette.MOON}


def far_edge(view: View) -> Tensor:
    """y where the ground begins in each column. (b, 1, w)"""
    rolling = view.of_scenes(lambda scene: HILLS[scene.ground])[:, None, None]
    return view.horizon + rolling * torch.sin(5.5 * view.x + 2 * math.pi * view.phase)


def draw_ground(canvas: Tensor, view: View) -> Tensor:
    """Lay the ground over a sky. (b, 3, h, w)"""
    colors = view.of_scenes(lambda scene: palette.GROUND_COLORS[scene.ground, scene.sky])
    far, near = colors.unbind(1)  # (b, 3) each
    rolling = view.of_scenes(lambda scene: HILLS[scene.ground])[:, None, None]
    canvas = lay(canvas, far_edge(view) - view.y, far)
    wave = torch.sin(4.0 * view.x + 4.6 * math.pi * view.phase)
    near_edge = view.horizon + 0.11 + 0.7 * rolling * wave
    canvas = lay(canvas, near_edge - view.y, near, soft=0.012)
    for ground, paint in (("grass", _draw_tufts), ("sand", _draw_ripples), ("water", _draw_waves)):
        chosen = view.where(lambda scene, ground=ground: scene.ground == ground and scene.style != "flat")
        if chosen:
            some = view.only(chosen)
            canvas[chosen] = paint(canvas[chosen], some, far[chosen], near_edge[chosen])
    return canvas


def _draw_tufts(canvas: Tensor, view: View, far: Tensor, near_edge: Tensor) -> Tensor:
    """Blades of grass in threes, here and there."""
    cells = scatter(view.x, view.y, view.phase, 7, 12)
    height = -cells.v  # upwards from the root
    blades = (cells.u.abs() - 0.55 * height.clamp_min(0)).abs().minimum(cells.u.abs()) - 0.004
    tuft = torch.maximum(blades, (height - 0.013).abs() - 0.013)
    hidden = (cells.random < 0.55) | (view.y < near_edge + 0.04)
    return lay(canvas, tuft + hidden.to(tuft), far, opacity=0.75)


def _draw_ripples(canvas: Tensor, view: View, far: Tensor, near_edge: Tensor) -> Tensor:
    """Short lines that the wind drew."""
    cells = scatter(view.x, view.y, view.phase, 4, 14)
    line = torch.maximum((cells.v + 3.0 * cells.u**2).abs() - 0.004, cells.u.abs() - 0.05)
    hidden = (cells.random < 0.6) | (view.y < near_edge + 0.03)
    return lay(canvas, line + hidden.to(line), far, opacity=0.7)


def _draw_waves(canvas: Tensor, view: View, far: Tensor, near_edge: Tensor) -> Tensor:
    """Three rows of short strokes, and the light's path on the water."""
    for number in range(3):
        line = near_edge + 0.05 + 0.085 * number
        along = (view.x * 2.5 + 7 * view.phase + 0.37 * number).frac() - 0.5  # within a stroke and its gap
        height = view.y - line + 0.012 * torch.cos(2 * math.pi * along)
        stroke = torch.maximum(height.abs() - 0.008, (along.abs() - 0.28) / 2.5)
        canvas = lay(canvas, stroke, far, opacity=0.7)
    depth = view.y - view.horizon
    width = (0.07 + 0.05 * torch.sin(depth * 110 + 9 * view.phase)) * (1 - 0.9 * depth)
    path = (view.x - view.light_x).abs() - width
    color = view.of_scenes(lambda scene: LIGHT_PATHS[scene.sky])
    shining = view.of_scenes(
        lambda scene: 0.0 if palette.CLOSED[scene.weather] > 0.5 else 0.25 if scene.sky == "day" else 0.5
    )
    fading = (depth > 0) * (1 - depth / 0.32).clamp(0, 1)
    return lay(canvas, path, color, opacity=shining[:, None, None] * fading, soft=0.03)
