"""Cats, dogs, ducks, birds and butterflies."""

from __future__ import annotations

import torch

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.shapes import box, circle, convex, ellipse, intersection, segment, union


def paint_cat(sheet: Cutout) -> None:
    """A cat that sits and looks at us; some are striped, some wear a collar."""
    u, v = sheet.u, sheet.v
    side = u.abs()
    curl = (circle(u, v, (0.27, 0.24), 0.15).abs() - 0.045).maximum(v - 0.30)
    tail = union(curl, segment(u, v, (0.42, 0.28), (0.36, 0.42), 0.09))
    sheet.fill(tail, sheet.paint, rim=True)
    body = union(ellipse(u, v, (0.0, 0.22), (0.27, 0.24)), ellipse(u, v, (0.0, 0.36), (0.18, 0.24)))
    sheet.fill(body, sheet.paint, rim=True)
    sheet.fill(ellipse(u, v, (0.0, 0.24), (0.11, 0.16)), sheet.bright(0.5))
    sheet.fill(ellipse(side, v, (0.12, 0.045), (0.09, 0.05)), sheet.bright(0.25), rim=True)
    ears = convex(side, v, (0.06, 0.80), (0.29, 0.68), (0.265, 1.0))
    sheet.fill(ears, sheet.paint, rim=True)
    sheet.fill(convex(side, v, (0.14, 0.80), (0.25, 0.76), (0.24, 0.93)), palette.BLUSH)
    head = ellipse(u, v, (0.0, 0.66), (0.31, 0.235))
    sheet.fill(head, sheet.paint, rim=True)
    stripes = intersection(head + 0.03, union((u.abs() - 0.07).abs() - 0.018, u.abs() - 0.018), 0.76 - v)
    sheet.fill(stripes, sheet.shaded(0.68), opacity=sheet.some(1))
    collar = intersection(body + 0.02, (v - 0.44).abs() - 0.03)
    sheet.fill(
        collar, sheet.contrasting(palette.BRICK, palette.BRICK, palette.GLASS), opacity=sheet.some(2, 0.4)
    )
    face = sheet.contrasting(palette.INK, palette.INK, palette.CREAM)
    sheet.fill(ellipse(u, v, (0.0, 0.57), (0.12, 0.075)), sheet.bright(0.5))
    sheet.fill(ellipse(side, v, (0.125, 0.68), (0.04, 0.055)), face)
    sheet.fill(ellipse(u, v, (0.0, 0.60), (0.035, 0.026)), palette.BLUSH)


def paint_dog(sheet: Cutout) -> None:
    """A dog from the side, tail up; some have a patch."""
    u, v = sheet.u, sheet.v
    tail = union(segment(u, v, (-0.40, 0.52), (-0.53, 0.78), 0.10), circle(u, v, (-0.53, 0.79), 0.05))
    sheet.fill(tail, sheet.paint, rim=True)
    for x in (-0.24, 0.15):  # the far legs
        sheet.fill(box(u, v, (x, 0.18), (0.055, 0.17), 0.04), sheet.shaded(0.74), rim=True)
    body = box(u, v, (-0.10, 0.45), (0.36, 0.175), 0.15)
    legs = union(*(box(u, v, (x, 0.20), (0.065, 0.20), 0.045) for x in (-0.36, 0.12)))
    chest = convex(u, v, (0.02, 0.40), (0.28, 0.40), (0.36, 0.76), (0.14, 0.76))
    sheet.fill(union(body, legs, chest), sheet.paint, rim=True)
    patch = intersection(ellipse(u, v, (-0.2, 0.54), (0.15, 0.11)), body + 0.024)
    sheet.fill(patch, sheet.bright(0.5), opacity=sheet.some(1))
    muzzle = box(u, v, (0.43, 0.69), (0.14, 0.085), 0.08)
    sheet.fill(union(circle(u, v, (0.27, 0.76), 0.19), muzzle), sheet.paint, rim=True)
    collar = segment(u, v, (0.10, 0.60), (0.30, 0.55), 0.06)
    sheet.fill(collar, sheet.contrasting(palette.BRICK, palette.BRICK, palette.GLASS))
    ear = ellipse(u + 0.25 * (v - 0.7), v, (0.16, 0.72), (0.085, 0.19))
    sheet.fill(ear, sheet.shaded(0.62), rim=True)
    face = sheet.contrasting(palette.INK, palette.INK, palette.CREAM)
    sheet.fill(circle(u, v, (0.33, 0.80), 0.034), face)
    sheet.fill(ellipse(u, v, (0.55, 0.74), (0.045, 0.04)), face)


def paint_duck(sheet: Cutout) -> None:
    """A duck that swims, or sits, facing one side."""
    u, v = sheet.u, sheet.v
    beak = convex(u, v, (0.36, 0.66), (0.56, 0.68), (0.54, 0.75), (0.36, 0.80))
    sheet.fill(beak, sheet.contrasting(palette.BEAK, palette.BEAK, palette.BRICK), rim=True)
    tail = convex(u, v, (-0.30, 0.20), (-0.30, 0.42), (-0.56, 0.58))
    body = union(ellipse(u, v, (-0.06, 0.25), (0.44, 0.26)), tail)
    neck = ellipse(u, v, (0.20, 0.50), (0.13, 0.24))
    head = circle(u, v, (0.22, 0.76), 0.21)
    sheet.fill(union(body, neck, head), sheet.paint, rim=True)
    sheet.fill(
        intersection(ellipse(u, v, (0.2, 0.55), (0.2, 0.035)), neck + 0.02),
        palette.SNOW,
        opacity=sheet.some(1, 0.4),
    )
    wing = union(
        ellipse(u, v, (-0.10, 0.30), (0.24, 0.145)),
        convex(u, v, (-0.20, 0.20), (-0.10, 0.42), (-0.40, 0.44)),
    )
    sheet.fill(wing, sheet.shaded(0.78), rim=True)
    face = sheet.contrasting(palette.INK, palette.INK, palette.CREAM)
    sheet.fill(circle(u, v, (0.29, 0.81), 0.04), face)


def paint_bird(sheet: Cutout) -> None:
    """A bird in flight from the side, one wing raised, one behind it."""
    u, v = sheet.u, sheet.v
    up = sheet.vary(1, -0.06, 0.0)
    far = convex(u, v - up, (0.0, 0.42), (0.18, 0.40), (0.26, 0.94), (0.10, 0.84))
    sheet.fill(far, sheet.shaded(0.62), rim=True)
    tail = convex(u, v, (-0.28, 0.34), (-0.26, 0.22), (-0.64, 0.16), (-0.62, 0.40))
    sheet.fill(tail, sheet.shaded(0.72), rim=True)
    beak = convex(u, v, (0.46, 0.34), (0.64, 0.38), (0.46, 0.47))
    sheet.fill(beak, sheet.contrasting(palette.BEAK, palette.BEAK, palette.BRICK), rim=True)
    body = union(ellipse(u, v, (0.02, 0.30), (0.36, 0.20)), circle(u, v, (0.34, 0.42), 0.17))
    sheet.fill(body, sheet.paint, rim=True)
    sheet.fill(intersection(ellipse(u, v, (0.12, 0.18), (0.26, 0.11)), body + 0.024), sheet.bright(0.55))
    wing = convex(u, v - up, (-0.16, 0.34), (0.16, 0.34), (0.02, 0.80), (-0.22, 1.0))
    sheet.fill(wing, sheet.paint, rim=True)
    tips = intersection(wing + 0.024, 0.72 - (v - up) + 0.4 * (u + 0.1))
    sheet.fill(tips, sheet.shaded(0.72))
    face = sheet.contrasting(palette.INK, palette.INK, palette.CREAM)
    sheet.fill(circle(u, v, (0.40, 0.47), 0.038), face)


def paint_butterfly(sheet: Cutout) -> None:
    """Two pairs of wings, spread, with one spot or two on each."""
    u, v = sheet.u, sheet.v
    side = u.abs()
    upper = ellipse(side - 0.35 * (v - 0.66), v, (0.29, 0.68), (0.24, 0.28))
    lower = ellipse(side + 0.25 * (v - 0.26), v, (0.23, 0.25), (0.19, 0.22))
    sheet.fill(lower, sheet.shaded(0.86), rim=True)
    sheet.fill(upper, sheet.paint, rim=True)
    spot = sheet.contrasting(palette.CREAM, palette.SNOW, palette.GOLD)
    sheet.fill(circle(side, v, (0.37, 0.76), 0.085), spot)
    sheet.fill(circle(side, v, (0.23, 0.57), 0.055), spot, opacity=sheet.some(1))
    sheet.fill(circle(side, v, (0.25, 0.22), 0.06), spot)
    feelers = torch.maximum(
        (side - 0.03 - 0.6 * (v - 0.75).clamp_min(0) ** 0.8).abs() - 0.016, (v - 0.85).abs() - 0.10
    )
    sheet.fill(feelers, palette.INK)
    sheet.fill(ellipse(u, v, (0.0, 0.48), (0.055, 0.30)), palette.INK, rim=True)
