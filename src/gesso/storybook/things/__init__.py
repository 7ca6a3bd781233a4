"""How each kind of thing looks: its parts, painted back to front.

A painter gets a ``Cutout`` in the thing's own coordinates: u = 0 is the middle, v runs from 0 at the foot
to 1 at the top. The main colour covers most of it, so that a small picture shows which one it is.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.cutout import Cutout
from gesso.storybook.scene import FLOATING, WIDTHS, Kind
from gesso.storybook.shapes import ellipse
from gesso.storybook.things import animals, buildings, flyers, landscape, vehicles

PAINTERS: dict[Kind, Callable[[Cutout], None]] = {
    "mountain": landscape.paint_mountain,
    "castle": buildings.paint_castle,
    "house": buildings.paint_house,
    "tree": landscape.paint_tree,
    "pine": landscape.paint_pine,
    "mushroom": landscape.paint_mushroom,
    "flower": landscape.paint_flower,
    "car": vehicles.paint_car,
    "boat": vehicles.paint_boat,
    "balloon": flyers.paint_balloon,
    "kite": flyers.paint_kite,
    "rocket": flyers.paint_rocket,
    "lighthouse": buildings.paint_lighthouse,
    "windmill": buildings.paint_windmill,
    "train": vehicles.paint_train,
    "cat": animals.paint_cat,
    "dog": animals.paint_dog,
    "duck": animals.paint_duck,
    "bird": animals.paint_bird,
    "butterfly": animals.paint_butterfly,
}


def paint_footing(sheet: Cutout, kind: Kind, wet: Tensor) -> None:
    """What is under a standing thing: its shadow, away from the light; on water an island, or foam.

    Args:
        sheet: the things, nothing painted yet.
        kind: what they are.
        wet: 1 where the ground is water, else 0, (n, 1).
    """
    half, height = 0.53 * WIDTHS[kind], (0.045 if kind == "mountain" else 0.085)
    if kind in FLOATING:
        foam = ellipse(sheet.u, sheet.v, (0.0, 0.02), (half * 0.85, height))
        sheet.fill(foam, palette.SNOW, opacity=0.6 * wet)
    else:
        island = ellipse(sheet.u, sheet.v, (0.0, -0.01), (half * 1.04, height * 1.5))
        sheet.fill(island, palette.SAND, rim=True, opacity=wet)
    away = sheet.u + 0.16 * half * sheet.light.direction
    shadow = ellipse(away, sheet.v, (0.0, 0.01), (half * 0.95, height))
    sheet.fill(shadow, palette.SHADE, opacity=(0.3 - 0.14 * wet) * (1 - 0.6 * sheet.light.flat))
