"""What is in the air before everything else: rain, snow and fog."""

from __future__ import annotations

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.canvas import View, lay
from gesso.storybook.pattern import random_cells, scatter

STREAK_COLUMNS = 15


def draw_weather(canvas: Tensor, view: View, solid: Tensor) -> Tensor:
    """Lay the weather over a finished picture.

    Args:
        canvas: (b, 3, h, w).
        solid: how far each pixel shows a thing, 0…1, (b, h, w): fog lies thinner on it.
    """
    foggy = view.where(lambda scene: scene.weather == "fog")
    if foggy:
        canvas[foggy] = _draw_fog(canvas[foggy], view.only(foggy), solid[foggy])
    for weather, paint in (("rain", _draw_rain), ("snowfall", _draw_snowfall)):
        chosen = view.where(lambda scene, weather=weather: scene.weather == weather)
        if chosen:
            canvas[chosen] = paint(canvas[chosen], view.only(chosen))
    return canvas


def _draw_fog(canvas: Tensor, view: View, solid: Tensor) -> Tensor:
    """Banks of fog, thickest on the horizon."""
    color = view.of_scenes(lambda scene: palette.FOG[scene.sky])
    bank = torch.exp(-(((view.y - view.horizon) / 0.20) ** 2))
    drift = 0.5 + 0.5 * torch.sin(7 * view.x + 30 * view.y + 40 * view.phase)
    thickness = (0.34 + 0.44 * bank + 0.10 * drift) * (1 - 0.62 * solid)
    return torch.lerp(canvas, color[:, :, None, None], thickness[:, None])


def _draw_rain(canvas: Tensor, view: View) -> Tensor:
    """Slanted streaks."""
    slanted = view.x * STREAK_COLUMNS + view.y * 3.2 + view.phase * 9  # in columns
    column = slanted.long()
    values = (random_cells(view.phase, 32) & 255).to(view.x) / 255  # (b, 32)
    start = values.gather(1, column.flatten(1) % 32).view_as(slanted)
    across = (slanted.frac() - 0.5).abs() / STREAK_COLUMNS
    along = ((view.y * 2.6 - start).frac() - 0.25).abs() / 2.6
    streak = torch.maximum(across - 0.0038, along - 0.07)
    color = view.of_scenes(lambda scene: palette.RAIN[scene.sky])
    return lay(canvas, streak, color, opacity=0.62)


def _draw_snowfall(canvas: Tensor, view: View) -> Tensor:
    """Flakes, large and small."""
    for columns, rows, size in ((9, 9, 0.013), (6, 7, 0.019)):
        cells = scatter(view.x, view.y, (view.phase * columns).frac(), columns, rows)
        radius = size * (0.6 + 0.4 * cells.random) * torch.where(cells.random < 0.35, -1.0, 1.0)
        flakes = torch.sqrt(cells.u**2 + cells.v**2) - radius
        canvas = lay(canvas, flakes, palette.FLAKE, opacity=0.9)
    return canvas
