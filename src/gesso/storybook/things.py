"""How each kind of thing looks: its parts, painted back to front.

A painter gets a ``Cutout`` in the thing's own coordinates: u = 0 is the middle, v runs from 0 at the foot
to 1 at the top. The main colour covers most of it, so that a small picture shows which one it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.scene import WIDTHS, Kind
from gesso.storybook.shapes import box, circle, convex, ellipse, intersection, segment, subtraction, union


def paint_footing(sheet: Cutout, kind: Kind, wet: Tensor) -> None:
    """What is under a standing thing: its shadow; and on water an island of sand, or foam around a boat.

    Args:
        sheet: the things, nothing painted yet.
        kind: what they are.
        wet: 1 where the ground is water, else 0, (n, 1).
    """
    half, height = 0.53 * WIDTHS[kind], (0.045 if kind == "mountain" else 0.085)
    if kind == "boat":
        foam = ellipse(sheet.u, sheet.v, (0.0, 0.02), (half * 0.85, height))
        sheet.fill(foam, palette.SNOW, opacity=0.6 * wet)
        sheet.fill(foam, palette.SHADE, opacity=0.3 * (1 - wet))
        return
    island = ellipse(sheet.u, sheet.v, (0.0, -0.01), (half * 1.04, height * 1.5))
    sheet.fill(island, palette.SAND, rim=True, opacity=wet)
    shadow = ellipse(sheet.u, sheet.v, (0.0, 0.01), (half * 0.92, height))
    sheet.fill(shadow, palette.SHADE, opacity=0.3 - 0.14 * wet)


def paint_mountain(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill(convex(u, v, (-0.02, 0.0), (0.65, 0.0), (0.33, 0.62)), sheet.shaded(0.85), rim=True)
    peak = convex(u, v, (-0.65, 0.0), (0.46, 0.0), (-0.10, 1.0))
    sheet.fill(peak, sheet.paint, rim=True)
    zigzag = 0.66 + 0.09 * ((u + 0.10) * 4.2).sub(0.25).frac().abs().sub(0.5).abs().mul(2)
    cap = intersection(peak + 0.02, zigzag - v)
    sheet.fill(cap, sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL))


def paint_castle(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    teeth = union(*(box(u, v, (x, 0.52), (0.05, 0.06)) for x in (-0.16, 0.0, 0.16)))
    sheet.fill(union(box(u, v, (0.0, 0.25), (0.34, 0.25)), teeth), sheet.paint, rim=True)
    side = u.abs()
    sheet.fill(box(side, v, (0.36, 0.33), (0.145, 0.33)), sheet.paint, rim=True)
    sheet.fill(convex(side, v, (0.18, 0.66), (0.54, 0.66), (0.36, 1.0)), sheet.shaded(0.62), rim=True)
    gate = union(box(u, v, (0.0, 0.11), (0.11, 0.11)), circle(u, v, (0.0, 0.22), 0.11))
    sheet.fill(gate, sheet.contrasting(palette.WOOD, palette.WOOD, palette.CREAM))
    sheet.fill_lamp(box(side, v, (0.36, 0.44), (0.05, 0.09), 0.05), palette.GLASS, palette.LAMP)


def paint_house(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill(box(u, v, (0.25, 0.80), (0.075, 0.15)), palette.BRICK, rim=True)
    sheet.fill(box(u, v, (0.0, 0.30), (0.40, 0.30)), sheet.paint, rim=True)
    roof = convex(u, v, (-0.50, 0.55), (0.50, 0.55), (0.0, 1.0))
    sheet.fill(roof, sheet.shaded(0.68), rim=True)
    door = box(u, v, (0.0, 0.16), (0.095, 0.18), 0.03)
    sheet.fill(door, sheet.contrasting(palette.WOOD, palette.WOOD, palette.CREAM))
    sheet.fill_lamp(box(u.abs(), v, (0.245, 0.34), (0.085, 0.09), 0.02), palette.GLASS, palette.LAMP)


def paint_tree(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    trunk = convex(u, v, (-0.10, 0.0), (0.10, 0.0), (0.05, 0.45), (-0.05, 0.45))
    sheet.fill(trunk, palette.WOOD, rim=True)
    lobes = circle(u.abs(), v, (0.20, 0.52), 0.21)
    sheet.fill(union(lobes, circle(u, v, (0.0, 0.70), 0.29)), sheet.paint, rim=True)


def paint_pine(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill(box(u, v, (0.0, 0.11), (0.07, 0.12)), palette.WOOD, rim=True)
    for foot, tip, half in ((0.17, 0.60, 0.37), (0.40, 0.80, 0.30), (0.62, 1.0, 0.22)):
        tier = convex(u, v, (-half, foot), (half, foot), (0.0, tip))
        sheet.fill(tier, sheet.paint, rim=True)


def paint_mushroom(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    stem = convex(u, v, (-0.19, 0.0), (0.19, 0.0), (0.12, 0.55), (-0.12, 0.55))
    sheet.fill(stem, palette.CREAM, rim=True)
    cap = intersection(ellipse(u, v, (0.0, 0.44), (0.48, 0.56)), 0.44 - v)
    sheet.fill(cap, sheet.paint, rim=True)
    dots = union(
        circle(u, v, (-0.25, 0.62), 0.075),
        circle(u, v, (0.03, 0.80), 0.085),
        circle(u, v, (0.25, 0.60), 0.065),
    )
    sheet.fill(dots, sheet.contrasting(palette.CREAM, palette.SNOW, palette.BRICK))


def paint_flower(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill(segment(u, v, (0.0, 0.02), (0.0, 0.55), 0.07), palette.LEAF)
    sheet.fill(ellipse(u.abs(), v + 0.35 * u.abs(), (0.15, 0.24), (0.15, 0.075)), palette.LEAF)
    petals = []
    for number in range(3):  # each stands for two: a petal and the one opposite
        angle = math.pi * (number / 3 + 1 / 6)
        along = (u * math.cos(angle) + (v - 0.64) * math.sin(angle)).abs()
        across = (v - 0.64) * math.cos(angle) - u * math.sin(angle)
        petals.append(ellipse(along, across, (0.21, 0.0), (0.155, 0.125)))
    sheet.fill(union(*petals), sheet.paint, rim=True)
    sheet.fill(
        circle(u, v, (0.0, 0.64), 0.115), sheet.contrasting(palette.GOLD, palette.GOLD, palette.WOOD)
    )


def paint_car(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    cabin = convex(u, v, (-0.46, 0.5), (0.40, 0.5), (0.22, 0.98), (-0.34, 0.98))
    sheet.fill(union(cabin, box(u, v, (0.0, 0.42), (0.715, 0.24), 0.13)), sheet.paint, rim=True)
    windows = convex(u, v, (-0.35, 0.6), (0.27, 0.6), (0.16, 0.87), (-0.28, 0.87))
    sheet.fill_lamp(subtraction(windows, box(u, v, (-0.04, 0.7), (0.03, 0.3))), palette.GLASS, palette.LAMP)
    for x in (-0.38, 0.38):
        sheet.fill(circle(u, v, (x, 0.17), 0.17), palette.RUBBER, rim=True)
        sheet.fill(circle(u, v, (x, 0.17), 0.075), palette.STEEL)
    sheet.fill_lamp(ellipse(u, v, (0.65, 0.45), (0.06, 0.08)), palette.CREAM, palette.SPARK)


def paint_boat(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill(segment(u, v, (-0.04, 0.25), (-0.04, 0.97), 0.05), palette.WOOD)
    sheet.fill(convex(u, v, (0.0, 0.40), (0.46, 0.40), (0.0, 0.98)), sheet.paint, rim=True)
    sheet.fill(convex(u, v, (-0.40, 0.40), (-0.09, 0.40), (-0.09, 0.86)), palette.CREAM, rim=True)
    hull = convex(u, v, (-0.34, 0.0), (0.34, 0.0), (0.53, 0.34), (-0.53, 0.34))
    sheet.fill(hull, sheet.paint, rim=True)
    stripe = intersection(hull + 0.03, (v - 0.25).abs() - 0.03)
    sheet.fill(stripe, sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL))


def paint_balloon(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill(segment(u.abs(), v, (0.09, 0.15), (0.17, 0.40), 0.03), palette.WOOD)
    sheet.fill(box(u, v, (0.0, 0.09), (0.12, 0.09), 0.03), palette.WOOD, rim=True)
    skirt = convex(u, v, (-0.12, 0.27), (0.12, 0.27), (0.30, 0.48), (-0.30, 0.48))
    envelope = union(circle(u, v, (0.0, 0.62), 0.375), skirt)
    sheet.fill(envelope, sheet.paint, rim=True)
    bulge = torch.sqrt((1 - ((v - 0.62) / 0.40) ** 2).clamp_min(0.05))
    stripe = (u.abs() - 0.19 * bulge).abs() - 0.045 * bulge
    sheet.fill(intersection(envelope + 0.03, stripe), sheet.shaded(0.74))


def paint_kite(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    wave = 0.07 * torch.sin(v * 19)
    sheet.fill(torch.maximum((u - wave).abs() - 0.022, (v - 0.14).abs() - 0.14), palette.WOOD)
    for height, middle in ((0.05, 0.06), (0.19, -0.03)):
        bow = (v - height).abs() - (u - middle).abs() * 0.5 - 0.012
        sheet.fill(intersection(bow, box(u, v, (middle, height), (0.10, 0.05))), sheet.shaded(0.8))
    corners = ((0.0, 0.26), (0.40, 0.68), (0.0, 1.0), (-0.40, 0.68))
    diamond = convex(u, v, *corners)
    sheet.fill(diamond, sheet.paint, rim=True)
    quarters = torch.maximum(-(u * (v - 0.68)) * 8, diamond + 0.03)
    sheet.fill(quarters, sheet.shaded(0.78))


def paint_rocket(sheet: Cutout) -> None:
    u, v = sheet.u, sheet.v
    sheet.fill_glow(convex(u, v, (0.0, 0.0), (0.11, 0.22), (-0.11, 0.22)), palette.FLAME)
    sheet.fill_glow(convex(u, v, (0.0, 0.09), (0.05, 0.22), (-0.05, 0.22)), palette.SPARK)
    fins = convex(u.abs(), v, (0.10, 0.18), (0.31, 0.14), (0.29, 0.34), (0.10, 0.54))
    sheet.fill(fins, sheet.shaded(0.66), rim=True)
    body = intersection(circle(u.abs(), v, (-0.36, 0.50), 0.56), 0.18 - v, v - 1.0)
    sheet.fill(body, sheet.paint, rim=True)
    sheet.fill(circle(u, v, (0.0, 0.60), 0.105), palette.STEEL, rim=True)
    sheet.fill_lamp(circle(u, v, (0.0, 0.60), 0.075), palette.GLASS, palette.LAMP)


PAINTERS: dict[Kind, Callable[[Cutout], None]] = {
    "mountain": paint_mountain,
    "castle": paint_castle,
    "house": paint_house,
    "tree": paint_tree,
    "pine": paint_pine,
    "mushroom": paint_mushroom,
    "flower": paint_flower,
    "car": paint_car,
    "boat": paint_boat,
    "balloon": paint_balloon,
    "kite": paint_kite,
    "rocket": paint_rocket,
}
