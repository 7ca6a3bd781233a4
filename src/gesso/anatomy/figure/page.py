"""The page: the title, the U, and the panels beside and below it."""

from __future__ import annotations

from collections.abc import Callable

from gesso.anatomy.dissect import Anatomy
from gesso.anatomy.figure.legend import draw_legend
from gesso.anatomy.figure.palette import MUTED
from gesso.anatomy.figure.panel import PANEL_WIDTH
from gesso.anatomy.figure.places import WIDTH, arrange
from gesso.anatomy.figure.resnet_inset import draw_resnet_inset
from gesso.anatomy.figure.shares import draw_shares
from gesso.anatomy.figure.svg import Drawing, Point
from gesso.anatomy.figure.transformer_inset import draw_transformer_inset
from gesso.anatomy.figure.u import draw_u
from gesso.anatomy.numbers import mac_unit

MARGIN = 30
TITLE_HEIGHT = 64
GAP = 22

Panel = Callable[[Drawing, Point], float]


def draw(anatomy: Anatomy) -> str:
    """The UNet of a model as the text of an SVG file, drawn from nothing but its outline."""
    drawing = Drawing()
    top = MARGIN + TITLE_HEIGHT
    places = arrange(anatomy.unet, MARGIN, top)
    draw_title(drawing, anatomy)
    draw_u(drawing, anatomy, places)
    beside = MARGIN + WIDTH + GAP
    bottom = draw_panels(drawing, panels(anatomy), (beside, top), (MARGIN, places.bottom + GAP))
    width, height = beside + PANEL_WIDTH + MARGIN, max(bottom, places.bottom) + MARGIN
    return drawing.to_svg(width, height, title(anatomy), subtitle(anatomy))


def title(anatomy: Anatomy) -> str:
    return f"The UNet of {anatomy.config.name}"


def subtitle(anatomy: Anatomy) -> str:
    unet, unit = anatomy.unet, mac_unit(anatomy.unet.macs)
    return (
        f"{unet.parameters:,} parameters; {unit.format(unet.macs)} {unit.name} "
        f"for one step of one {anatomy.width}×{anatomy.height} picture"
    )


def draw_title(drawing: Drawing, anatomy: Anatomy) -> None:
    drawing.text((MARGIN, MARGIN + 20), title(anatomy), size=24, bold=True)
    drawing.text((MARGIN, MARGIN + 42), subtitle(anatomy), size=13, fill=MUTED)


def panels(anatomy: Anatomy) -> list[Panel]:
    unet = anatomy.unet
    return [
        lambda drawing, corner: draw_resnet_inset(drawing, unet, corner),
        lambda drawing, corner: draw_transformer_inset(drawing, unet, corner),
        lambda drawing, corner: draw_shares(drawing, unet, corner),
        draw_legend,
    ]


def draw_panels(drawing: Drawing, panels: list[Panel], beside: Point, below: Point) -> float:
    """Each panel where the page grows least: beside the U or below it; returns where the last one ends."""
    columns = [beside, below]
    for draw_one in panels:
        ends = [draw_one(Drawing(), corner) for corner in columns]
        best = min(range(2), key=ends.__getitem__)
        draw_one(drawing, columns[best])
        columns[best] = (columns[best][0], ends[best] + GAP)
    return max(y for _, y in columns) - GAP
