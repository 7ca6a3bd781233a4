"""Cars, boats and trains."""

from __future__ import annotations

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.shapes import box, circle, convex, ellipse, intersection, segment, subtraction, union


def paint_car(sheet: Cutout) -> None:
    """A car from the side; some carry a roof rack."""
    u, v = sheet.u, sheet.v
    rack = union(
        box(u, v, (-0.06, 1.0), (0.24, 0.02)), box((u + 0.06).abs(), v, (0.18, 0.98), (0.02, 0.04))
    )
    sheet.fill(rack, palette.WOOD, opacity=sheet.some(1, 0.3))
    cabin = convex(u, v, (-0.46, 0.5), (0.40, 0.5), (0.22, 0.96), (-0.34, 0.96))
    body = union(cabin, box(u, v, (0.0, 0.42), (0.715, 0.24), 0.13))
    sheet.fill(body, sheet.paint, rim=True)
    sheet.fill(box(u, v, (0.0, 0.34), (0.66, 0.03)), sheet.shaded(0.75))
    windows = convex(u, v, (-0.35, 0.6), (0.27, 0.6), (0.16, 0.87), (-0.28, 0.87))
    sheet.fill_lamp(subtraction(windows, box(u, v, (-0.04, 0.7), (0.03, 0.3))), palette.GLASS, palette.LAMP)
    for x in (-0.38, 0.38):
        sheet.fill(circle(u, v, (x, 0.17), 0.17), palette.RUBBER, rim=True)
        sheet.fill(circle(u, v, (x, 0.17), 0.075), palette.STEEL)
    sheet.fill_lamp(ellipse(u, v, (0.65, 0.45), (0.06, 0.08)), palette.CREAM, palette.SPARK)
    sheet.fill(ellipse(u, v, (-0.68, 0.45), (0.03, 0.06)), palette.BRICK)


def paint_boat(sheet: Cutout) -> None:
    """A hull with two sails, the large one of its colour; some fly a pennant."""
    u, v = sheet.u, sheet.v
    sheet.fill(segment(u, v, (-0.04, 0.25), (-0.04, 0.97), 0.05), palette.WOOD)
    pennant = convex(u, v, (-0.05, 0.92), (-0.05, 1.0), (-0.22, 0.96))
    sheet.fill(pennant, palette.BRICK, opacity=sheet.some(1))
    sail = convex(u, v, (0.0, 0.40), (0.46, 0.40), (0.0, 0.95))
    sheet.fill(sail, sheet.paint, rim=True)
    band = intersection(sail + 0.024, (v - 0.58).abs() - 0.035)
    sheet.fill(band, sheet.bright(0.4), opacity=sheet.some(2))
    sheet.fill(convex(u, v, (-0.40, 0.40), (-0.09, 0.40), (-0.09, 0.84)), palette.CREAM, rim=True)
    hull = convex(u, v, (-0.34, 0.0), (0.34, 0.0), (0.53, 0.34), (-0.53, 0.34))
    sheet.fill(hull, sheet.paint, rim=True)
    stripe = intersection(hull + 0.03, (v - 0.25).abs() - 0.03)
    sheet.fill(stripe, sheet.contrasting(palette.SNOW, palette.SNOW, palette.STEEL))


def paint_train(sheet: Cutout) -> None:
    """A steam engine with a cab and a funnel, and its smoke."""
    u, v = sheet.u, sheet.v
    drift = sheet.vary(1, -0.03, 0.03)
    smoke = union(
        circle(u - 0.40 - drift, v, (0.0, 0.93), 0.07),
        circle(u - 0.28 - drift, v, (0.0, 0.97), 0.06),
        circle(u - 0.17, v + drift, (0.0, 0.985), 0.04),
    )
    sheet.fill(smoke, palette.SMOKE, opacity=0.92)
    funnel = convex(u, v, (0.35, 0.58), (0.47, 0.58), (0.51, 0.84), (0.31, 0.84))
    sheet.fill(funnel, sheet.shaded(0.6), rim=True)
    sheet.fill(
        circle(u, v, (0.06, 0.66), 0.10),
        sheet.contrasting(palette.GOLD, palette.GOLD, palette.BRICK),
        rim=True,
    )
    sheet.fill(box(u, v, (0.15, 0.46), (0.46, 0.20), 0.08), sheet.paint, rim=True)
    for x in (0.0, 0.30):
        sheet.fill(box(u, v, (x, 0.46), (0.018, 0.18)), sheet.shaded(0.62))
    sheet.fill(box(u, v, (-0.40, 0.52), (0.24, 0.34)), sheet.paint, rim=True)
    sheet.fill(box(u, v, (-0.40, 0.88), (0.29, 0.045), 0.03), sheet.shaded(0.6), rim=True)
    sheet.fill_lamp(box(u, v, (-0.40, 0.64), (0.14, 0.11), 0.02), palette.GLASS, palette.LAMP)
    sheet.fill(box(u, v, (-0.02, 0.23), (0.64, 0.05)), sheet.shaded(0.6), rim=True)
    plough = convex(u, v, (0.52, 0.03), (0.68, 0.03), (0.56, 0.24), (0.52, 0.24))
    sheet.fill(plough, palette.STEEL, rim=True)
    for x, radius in ((-0.40, 0.16), (-0.02, 0.13), (0.30, 0.13)):
        wheel = circle(u, v, (x, radius), radius)
        sheet.fill(wheel, palette.RUBBER, rim=True)
        sheet.fill(wheel + 0.6 * radius, palette.BRICK)
    sheet.fill_lamp(circle(u, v, (0.61, 0.52), 0.055), palette.CREAM, palette.SPARK)
