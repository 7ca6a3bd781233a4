"""Mountains, trees, mushrooms and flowers."""

from __future__ import annotations

import math

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.shapes import box, circle, convex, ellipse, intersection, segment, union


def paint_mountain(sheet: Cutout) -> None:
    """A peak with a white cap, and a lower one behind it."""
    u, v = sheet.u, sheet.v
    lower = convex(u, v, (-0.02, 0.0), (0.65, 0.0), (0.33, 0.62))
    sheet.fill(lower, sheet.shaded(0.85), rim=True)
    peak = convex(u, v, (-0.65, 0.0), (0.46, 0.0), (-0.10, 1.0))
    sheet.fill(peak, sheet.paint, rim=True)
    slope = convex(u, v, (-0.06, 0.02), (0.44, 0.02), (-0.10, 0.96), (-0.16, 0.55))
    sheet.fill(intersection(slope, peak + 0.02), sheet.shaded(0.82))
    waves = ((u + 0.10) * sheet.vary(1, 3.4, 5.0) - 0.25).frac().abs().sub(0.5).abs()
    cap = intersection(peak + 0.02, 0.67 + 0.18 * waves - v)
    sheet.fill(cap, sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL))


def paint_tree(sheet: Cutout) -> None:
    """A trunk under a round crown; some bear fruit."""
    u, v = sheet.u, sheet.v
    trunk = convex(u, v, (-0.10, 0.0), (0.10, 0.0), (0.05, 0.45), (-0.05, 0.45))
    sheet.fill(trunk, palette.WOOD, rim=True)
    wide = sheet.vary(1, 0.17, 0.22)
    crown = union(circle(u.abs() - wide, v, (0.0, 0.52), 0.20), circle(u, v, (0.0, 0.70), 0.29))
    sheet.fill(crown, sheet.paint, rim=True)
    light = union(circle(u, v, (-0.09, 0.78), 0.11), circle(u, v, (0.17, 0.55), 0.075))
    sheet.fill(light, sheet.bright(0.22))
    fruit = union(*(circle(u, v, place, 0.035) for place in ((-0.2, 0.5), (0.05, 0.62), (0.12, 0.8))))
    sheet.fill(
        fruit, sheet.contrasting(palette.PAINTS["red"], palette.PAINTS["red"], palette.GOLD),
        opacity=sheet.some(2, 0.35),
    )  # fmt: skip


def paint_pine(sheet: Cutout) -> None:
    """Three tiers on a short trunk; some are dusted with snow."""
    u, v = sheet.u, sheet.v
    sheet.fill(box(u, v, (0.0, 0.11), (0.07, 0.12)), palette.WOOD, rim=True)
    snow = sheet.some(1, 0.3)
    for foot, tip, half in ((0.17, 0.60, 0.37), (0.40, 0.80, 0.30), (0.62, 1.0, 0.22)):
        tier = convex(u, v, (-half, foot), (half, foot), (0.0, tip))
        sheet.fill(tier, sheet.paint, rim=True)
        lit = convex(u, v, (-0.8 * half, foot + 0.05), (-0.1 * half, foot + 0.05), (-0.02, tip - 0.06))
        sheet.fill(lit, sheet.bright(0.16))
        wavy = tip - 0.14 - v + 0.02 * (u * 60).cos()
        top = sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL)
        sheet.fill(intersection(tier + 0.015, wavy), top, opacity=snow)


def paint_mushroom(sheet: Cutout) -> None:
    """A stem under a dotted cap."""
    u, v = sheet.u, sheet.v
    stem = convex(u, v, (-0.19, 0.0), (0.19, 0.0), (0.12, 0.55), (-0.12, 0.55))
    sheet.fill(stem, palette.CREAM, rim=True)
    sheet.fill(ellipse(u, v, (0.0, 0.44), (0.20, 0.05)), palette.WOOD, opacity=0.35)
    cap = intersection(ellipse(u, v, (0.0, 0.44), (0.48, 0.56)), 0.44 - v)
    sheet.fill(cap, sheet.paint, rim=True)
    sheet.fill(ellipse(u, v, (-0.16, 0.82), (0.13, 0.06)), sheet.bright(0.25))
    size = sheet.vary(1, 0.85, 1.2)
    dots = union(
        circle(u, v, (-0.25, 0.62), 0.0) - 0.07 * size,
        circle(u, v, (0.03, 0.79), 0.0) - 0.08 * size,
        circle(u, v, (0.25, 0.60), 0.0) - 0.06 * size,
    )
    sheet.fill(dots, sheet.contrasting(palette.CREAM, palette.SNOW, palette.BRICK))


def paint_flower(sheet: Cutout) -> None:
    """Six petals, pointed or round, on a stem with two leaves."""
    u, v = sheet.u, sheet.v
    sheet.fill(segment(u, v, (0.0, 0.02), (0.0, 0.55), 0.07), palette.LEAF)
    leaf = ellipse(u.abs(), v + 0.35 * u.abs(), (0.15, 0.24), (0.15, 0.075))
    sheet.fill(leaf, palette.LEAF, rim=True)
    turn = sheet.vary(1, 0.0, math.pi / 3)
    petals, inner = [], []
    for number in range(3):  # each stands for two: a petal and the one opposite
        angle = turn + math.pi * number / 3
        cos, sin = angle.cos(), angle.sin()
        along = (u * cos + (v - 0.64) * sin).abs()
        across = (v - 0.64) * cos - u * sin
        petals.append(ellipse(along, across, (0.21, 0.0), (0.155, 0.12)))
        inner.append(ellipse(along, across, (0.15, 0.0), (0.10, 0.035)))
    sheet.fill(union(*petals), sheet.paint, rim=True)
    sheet.fill(union(*inner), sheet.shaded(0.85))
    heart = sheet.contrasting(palette.GOLD, palette.GOLD, palette.WOOD)
    sheet.fill(circle(u, v, (0.0, 0.64), 0.115), heart, rim=True)
