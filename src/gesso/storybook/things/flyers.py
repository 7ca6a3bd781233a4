"""Balloons, kites and rockets."""

from __future__ import annotations

import torch

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.shapes import box, circle, convex, intersection, segment, union


def paint_balloon(sheet: Cutout) -> None:
    """A hot air balloon, striped or belted."""
    u, v = sheet.u, sheet.v
    sheet.fill(segment(u.abs(), v, (0.09, 0.15), (0.17, 0.40), 0.03), palette.WOOD)
    sheet.fill(box(u, v, (0.0, 0.09), (0.12, 0.09), 0.03), palette.WOOD, rim=True)
    skirt = convex(u, v, (-0.12, 0.27), (0.12, 0.27), (0.30, 0.48), (-0.30, 0.48))
    envelope = union(circle(u, v, (0.0, 0.62), 0.375), skirt)
    sheet.fill(envelope, sheet.paint, rim=True)
    bulge = torch.sqrt((1 - ((v - 0.62) / 0.40) ** 2).clamp_min(0.05))
    stripes = (u.abs() - 0.19 * bulge).abs() - 0.045 * bulge
    belt = (v - 0.60 - 0.12 * u**2).abs() - 0.07
    belted = sheet.some(1, 0.4)[..., None]
    sheet.fill(intersection(envelope + 0.03, torch.lerp(stripes, belt, belted)), sheet.shaded(0.74))
    sheet.fill(circle(u, v, (-0.17, 0.78), 0.055), sheet.bright(0.45), opacity=0.8)


def paint_kite(sheet: Cutout) -> None:
    """A diamond with a tail of bows."""
    u, v = sheet.u, sheet.v
    wave = 0.07 * torch.sin(v * 19 + sheet.vary(1, -0.8, 0.8))
    sheet.fill(torch.maximum((u - wave).abs() - 0.022, (v - 0.14).abs() - 0.14), palette.WOOD)
    for height, middle in ((0.05, 0.05), (0.19, -0.03)):
        bow = (v - height).abs() - (u - middle).abs() * 0.5 - 0.012
        sheet.fill(intersection(bow, box(u, v, (middle, height), (0.10, 0.05))), sheet.shaded(0.8))
    diamond = convex(u, v, (0.0, 0.26), (0.40, 0.68), (0.0, 1.0), (-0.40, 0.68))
    sheet.fill(diamond, sheet.paint, rim=True)
    quarters = torch.maximum(-(u * (v - 0.68)) * 8, diamond + 0.03)
    sheet.fill(quarters, sheet.shaded(0.78))


def paint_rocket(sheet: Cutout) -> None:
    """A rocket on its flame, with one window or two."""
    u, v = sheet.u, sheet.v
    sheet.fill_glow(convex(u, v, (0.0, 0.0), (0.11, 0.22), (-0.11, 0.22)), palette.FLAME)
    sheet.fill_glow(convex(u, v, (0.0, 0.09), (0.05, 0.22), (-0.05, 0.22)), palette.SPARK)
    fins = convex(u.abs(), v, (0.10, 0.18), (0.31, 0.14), (0.29, 0.34), (0.10, 0.54))
    sheet.fill(fins, sheet.shaded(0.66), rim=True)
    body = intersection(circle(u.abs(), v, (-0.36, 0.50), 0.56), 0.18 - v, v - 1.0)
    sheet.fill(body, sheet.paint, rim=True)
    sheet.fill(intersection(body + 0.024, 0.83 - v), sheet.shaded(0.66))
    sheet.fill(circle(u, v, (0.0, 0.62), 0.10), palette.STEEL, rim=True)
    sheet.fill_lamp(circle(u, v, (0.0, 0.62), 0.07), palette.GLASS, palette.LAMP)
    sheet.fill(circle(u, v, (0.0, 0.38), 0.05), palette.STEEL, opacity=sheet.some(1))
