"""Houses, castles, lighthouses and windmills."""

from __future__ import annotations

import math

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.shapes import box, circle, convex, intersection, segment, union


def paint_castle(sheet: Cutout) -> None:
    """A wall with a gate between two round towers; some have a keep, some fly flags."""
    u, v = sheet.u, sheet.v
    side = u.abs()
    keep = sheet.some(1)
    sheet.fill(box(u, v, (0.0, 0.55), (0.13, 0.26)), sheet.shaded(0.86), rim=True, opacity=keep)
    sheet.fill(
        convex(u, v, (-0.17, 0.78), (0.17, 0.78), (0.0, 1.0)), sheet.shaded(0.62), rim=True, opacity=keep
    )
    teeth = union(*(box(u, v, (x, 0.52), (0.05, 0.06)) for x in (-0.16, 0.0, 0.16)))
    sheet.fill(union(box(u, v, (0.0, 0.25), (0.34, 0.25)), teeth), sheet.paint, rim=True)
    flag = union(
        segment(side, v, (0.36, 0.9), (0.36, 0.99), 0.02),
        convex(side, v, (0.36, 0.93), (0.46, 0.96), (0.36, 0.995)),
    )
    sheet.fill(flag, sheet.contrasting(palette.BRICK, palette.BRICK, palette.GOLD), opacity=sheet.some(2))
    sheet.fill(box(side, v, (0.36, 0.32), (0.145, 0.32)), sheet.paint, rim=True)
    sheet.fill(convex(side, v, (0.18, 0.63), (0.54, 0.63), (0.36, 0.94)), sheet.shaded(0.62), rim=True)
    gate = union(box(u, v, (0.0, 0.11), (0.11, 0.11)), circle(u, v, (0.0, 0.22), 0.11))
    sheet.fill(gate, sheet.contrasting(palette.WOOD, palette.WOOD, palette.CREAM), rim=True)
    sheet.fill_lamp(box(side, v, (0.36, 0.44), (0.05, 0.085), 0.05), palette.GLASS, palette.LAMP)


def paint_house(sheet: Cutout) -> None:
    """Walls under a pointed roof with a chimney; the door is in the middle or on one side."""
    u, v = sheet.u, sheet.v
    sheet.fill(box(u, v, (0.25, 0.80), (0.07, 0.15)), palette.BRICK, rim=True)
    sheet.fill(box(u, v, (0.0, 0.30), (0.40, 0.30)), sheet.paint, rim=True)
    roof = convex(u, v, (-0.50, 0.55), (0.50, 0.55), (0.0, 1.0))
    sheet.fill(roof, sheet.shaded(0.66), rim=True)
    attic = circle(u, v, (0.0, 0.71), 0.075)
    sheet.fill_lamp(attic + 0.2 * (1 - sheet.some(1)[..., None]), palette.GLASS, palette.LAMP)
    aside = sheet.some(2, 0.4)[..., None]
    door = box(u + 0.22 * aside, v, (0.0, 0.16), (0.09, 0.18), 0.03)
    sheet.fill(door, sheet.contrasting(palette.WOOD, palette.WOOD, palette.CREAM), rim=True)
    left, right = u + 0.245 + 9 * aside, u - 0.245 + 0.13 * aside
    for at, half in ((left, 0.085), (right, 0.085)):
        window = box(at, v, (0.0, 0.35), (half, 0.085), 0.02)
        sheet.fill(window - 0.02, sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL))
        sheet.fill_lamp(window, palette.GLASS, palette.LAMP)
        bars = intersection(window, union(at.abs() - 0.009, (v - 0.35).abs() - 0.009))
        sheet.fill(bars, sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL))


def paint_lighthouse(sheet: Cutout) -> None:
    """A tapering tower with a lamp on top; two stripes or three."""
    u, v = sheet.u, sheet.v
    tower = convex(u, v, (-0.22, 0.0), (0.22, 0.0), (0.135, 0.72), (-0.135, 0.72))
    sheet.fill(tower, sheet.paint, rim=True)
    three = sheet.some(1)[..., None]
    period = 0.26 - 0.06 * three
    stripe = ((v - 0.15) / period).frac().sub(0.5).abs().sub(0.19).mul(period)
    light = sheet.contrasting(palette.SNOW, palette.SNOW, palette.BRICK)
    sheet.fill(intersection(tower + 0.024, stripe, 0.1 - v, v - 0.68), light)
    sheet.fill(box(u, v, (0.0, 0.74), (0.20, 0.03), 0.015), sheet.shaded(0.6), rim=True)
    sheet.fill_lamp(box(u, v, (0.0, 0.82), (0.095, 0.06)), palette.GLASS, palette.SPARK)
    sheet.fill(
        union(u.abs() - 0.011, (u.abs() - 0.085).abs() - 0.011) + 9 * ((v - 0.82).abs() > 0.06),
        sheet.shaded(0.6),
    )
    dome = intersection(circle(u, v, (0.0, 0.86), 0.135), 0.87 - v)
    sheet.fill(dome, sheet.shaded(0.62), rim=True)
    door = box(u, v, (0.0, 0.07), (0.06, 0.08), 0.05)
    sheet.fill(door, sheet.contrasting(palette.WOOD, palette.WOOD, palette.CREAM))


def paint_windmill(sheet: Cutout) -> None:
    """A tower with a cap and four sails, which stand at any angle."""
    u, v = sheet.u, sheet.v
    tower = convex(u, v, (-0.26, 0.0), (0.26, 0.0), (0.15, 0.60), (-0.15, 0.60))
    sheet.fill(tower, sheet.paint, rim=True)
    cap = intersection(circle(u, v, (0.0, 0.56), 0.20), 0.58 - v)
    sheet.fill(cap, sheet.shaded(0.62), rim=True)
    door = box(u, v, (0.0, 0.10), (0.065, 0.11), 0.05)
    sheet.fill(door, sheet.contrasting(palette.WOOD, palette.WOOD, palette.CREAM))
    sheet.fill_lamp(circle(u, v, (0.0, 0.37), 0.06), palette.GLASS, palette.LAMP)
    angle = sheet.vary(1, 0.1, math.pi / 2 - 0.1)
    cos, sin = angle.cos(), angle.sin()
    across, along = u * cos + (v - 0.62) * sin, (v - 0.62) * cos - u * sin
    for a, b in ((across, along), (along, -across)):  # each pair of opposite sails
        turned = a * b.sign()
        sail = box(turned, b.abs(), (0.055, 0.24), (0.055, 0.135), 0.01)
        sheet.fill(sail, sheet.contrasting(palette.CREAM, palette.CREAM, palette.STEEL), rim=True)
        sheet.fill(box(a, b, (0.0, 0.0), (0.016, 0.375)), palette.WOOD)
    sheet.fill(circle(u, v, (0.0, 0.62), 0.04), palette.WOOD, rim=True)
