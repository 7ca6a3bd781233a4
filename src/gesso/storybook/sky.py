"""The upper part of a picture: the sky with sun, moon, stars, clouds and rainbow."""

from __future__ import annotations

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.canvas import View, lay
from gesso.storybook.pattern import scatter
from gesso.storybook.shapes import circle, ellipse, subtraction, union

CLOUD_ROWS = 0.46
"""Share of the picture's height that clouds may take."""


def draw_sky(view: View) -> Tensor:
    """The sky all over the picture. (b, 3, h, w), RGB in 0…1"""
    canvas = _gradient(view).expand(-1, -1, -1, view.size[1]).contiguous()
    for sky, paint in (("day", _draw_sun), ("sunset", _draw_low_sun), ("night", _draw_night)):
        chosen = view.where(lambda scene, sky=sky: scene.sky == sky and palette.CLOSED[scene.weather] < 0.7)
        if chosen:
            canvas[chosen] = paint(canvas[chosen], view.only(chosen))
    top = slice(round(CLOUD_ROWS * view.size[0]))
    for count, weathers in ((2, ("clear", "rainbow")), (6, ("cloudy", "rain", "snowfall"))):
        chosen = view.where(
            lambda scene, count=count, weathers=weathers: (
                scene.weather in weathers and (count > 2 or scene.sky != "night")
            )
        )
        if chosen:
            canvas[chosen, :, top] = _draw_clouds(canvas[chosen, :, top], view.only(chosen, top), count)
    arched = view.where(lambda scene: scene.weather == "rainbow")
    if arched:
        canvas[arched] = _draw_rainbow(canvas[arched], view.only(arched))
    return canvas


def _gradient(view: View) -> Tensor:
    """Three colours from the top to the horizon; one, where the style is flat. (b, 3, h, 1)"""
    clear = view.of_scenes(lambda scene: palette.SKY_COLORS[scene.sky])  # (b, 3 heights, 3)
    closed = view.of_scenes(lambda scene: palette.OVERCAST[scene.sky])
    share = view.of_scenes(lambda scene: palette.CLOSED[scene.weather])[:, None, None]
    top, middle, low = torch.lerp(clear, closed, share).unbind(1)
    flat = view.of_scenes(lambda scene: float(scene.style == "flat"))[:, None, None]
    height = torch.lerp(view.y / view.horizon, torch.full_like(view.y, 0.5), flat)[:, None]  # (b, 1, h, 1)
    upper, lower = (2 * height).clamp(0, 1), (2 * height - 1).clamp(0, 1)
    sky = top[..., None, None] + upper * (middle - top)[..., None, None]
    return sky + lower * (low - middle)[..., None, None]


def _glow_opacity(view: View, opacity: float) -> Tensor:
    return view.of_scenes(lambda scene: 0.0 if scene.style == "flat" else opacity)[:, None, None]


def _draw_sun(canvas: Tensor, view: View) -> Tensor:
    sun = circle(view.x - view.light_x, view.y - view.light_y, (0, 0), 0.085)
    canvas = lay(canvas, sun - 0.035, palette.SUN, _glow_opacity(view, 0.45), soft=0.10)
    return lay(canvas, sun, palette.SUN)


def _draw_low_sun(canvas: Tensor, view: View) -> Tensor:
    sun = circle(view.x - view.light_x, view.y - view.light_y + 0.01, (0, 0), 0.115)
    canvas = lay(canvas, sun - 0.08, palette.LOW_SUN, _glow_opacity(view, 0.5), soft=0.26)
    return lay(canvas, sun, palette.LOW_SUN)


def _draw_night(canvas: Tensor, view: View) -> Tensor:
    """A crescent and stars, which grow smaller towards the horizon."""
    u, v = view.x - view.light_x, view.y - view.light_y
    disc = circle(u, v, (0, 0), 0.085)
    cells = scatter(view.x, view.y, view.phase, 6, 7)
    radius = torch.where(cells.random < 0.35, -1.0, 0.006 + 0.008 * cells.random) * (1.1 - view.y)
    stars = torch.sqrt(cells.u**2 + cells.v**2) - radius
    canvas = lay(canvas, subtraction(stars, disc - 0.06), palette.STARS)
    canvas = lay(canvas, disc - 0.03, palette.MOON, _glow_opacity(view, 0.28), soft=0.12)
    return lay(canvas, subtraction(disc, circle(u, v, (0.045, -0.025), 0.07)), palette.MOON)


def _draw_clouds(canvas: Tensor, view: View, count: int) -> Tensor:
    """A few clouds on the side away from the sun, or many all over."""
    color = view.of_scenes(lambda scene: palette.CLOUDS[scene.sky])
    shade = view.of_scenes(lambda scene: palette.CLOUD_SHADES[scene.sky])
    closed = view.of_scenes(lambda scene: palette.CLOSED[scene.weather])[:, None]
    color = torch.lerp(color, shade, 0.5 * closed)
    side = torch.where(view.light_x < 0.5, 1.0, -1.0)
    for number in range(count):
        shift = (view.phase * (3 + 4 * number)).frac() - 0.5
        if count == 2:
            x = 0.5 + side * (0.34 - 0.32 * number) + 0.14 * shift
            y, scale = 0.11 + 0.12 * number + 0.05 * shift, 1 + 0.5 * shift
        else:
            x = (0.19 * number + view.phase * 1.7).frac() * 1.1 - 0.05
            y, scale = 0.07 + 0.125 * (number % 3) + 0.04 * shift, 1.5 + 0.6 * shift
        u, v = (view.x - x) / scale, (view.y - y) / scale
        puffs = union(
            ellipse(u, v, (0.0, 0.0), (0.115, 0.030)),
            circle(u, v, (-0.035, -0.018), 0.036),
            circle(u, v, (0.025, -0.028), 0.045),
        )
        canvas = lay(canvas, puffs * scale, shade, opacity=0.9)
        lit = union(
            ellipse(u, v, (0.0, -0.010), (0.104, 0.020)),
            circle(u, v, (-0.035, -0.024), 0.030),
            circle(u, v, (0.025, -0.034), 0.039),
        )
        canvas = lay(canvas, lit * scale, color, opacity=0.95)
    return canvas


def _draw_rainbow(canvas: Tensor, view: View) -> Tensor:
    """Six bands of an arc that ends behind the ground, its middle away from the sun."""
    middle = torch.where(view.light_x < 0.5, 0.58, 0.42)
    radius = circle(view.x - middle, view.y - view.horizon, (0.0, 0.10), 0.0)
    for number, color in enumerate(palette.RAINBOW):
        outer = 0.56 - 0.021 * number
        band = torch.maximum(radius - outer, outer - 0.021 - radius)
        canvas = lay(canvas, band, color, opacity=0.8)
    return canvas
