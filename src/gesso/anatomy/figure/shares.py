"""Where the UNet's parameters and arithmetic are: two bars, and the table that explains their colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gesso.anatomy.arithmetic import Macs
from gesso.anatomy.figure.palette import MUTED, PANEL, share_colour
from gesso.anatomy.figure.panel import PADDING, PANEL_WIDTH, draw_panel
from gesso.anatomy.figure.svg import INK, Drawing, Point
from gesso.anatomy.numbers import count, mac_unit, share
from gesso.anatomy.outline import Outline
from gesso.anatomy.tally import Entry, tally

BAR_HEIGHT, LINE_HEIGHT, LABEL_WIDTH = 20, 18, 84
COLUMNS = (350, 410, 482, PANEL_WIDTH - PADDING)
"""Right edges of the table's numbers, from the panel's left edge."""


def draw_shares(drawing: Drawing, unet: Outline, corner: Point) -> float:
    """Draw the panel; returns where it ends below."""
    title, subtitle = "Where the parameters and the arithmetic are", "of one step of one sample"
    return draw_panel(drawing, corner, title, subtitle, lambda inside, at: draw_inside(inside, unet, at))


def pieces(unet: Outline) -> Iterator[tuple[str, Entry]]:
    """The kinds of blocks, with the transformers in parts, and what the table calls them."""
    for entry in tally(unet):
        if entry.parts:
            yield from ((f"transformers: {part.name}", part) for part in entry.parts)
        else:
            yield entry.name, entry


def draw_inside(drawing: Drawing, unet: Outline, corner: Point) -> float:
    x, y = corner
    unit = mac_unit(unet.macs)
    entries = [entry for _, entry in pieces(unet)]
    draw_bar(drawing, (x + PADDING, y), "parameters", entries, [entry.parameters for entry in entries])
    y += BAR_HEIGHT + 6
    draw_bar(drawing, (x + PADDING, y), "arithmetic", entries, [entry.macs.total for entry in entries])
    y += BAR_HEIGHT + LINE_HEIGHT + 2
    draw_cells(drawing, (x, y), ("parameters", "share", unit.name, "share"), fill=MUTED)
    for name, entry in pieces(unet):
        y += LINE_HEIGHT
        drawing.rectangle((x + PADDING, y - 9), 10, 10, fill=share_colour(entry.name), radius=2)
        drawing.text((x + PADDING + 17, y), name)
        draw_cells(drawing, (x, y), cells(entry, unet))
    y += LINE_HEIGHT + 4
    drawing.line([(x + PADDING, y - 14), (x + PANEL_WIDTH - PADDING, y - 14)], stroke=PANEL.stroke, width=1)
    drawing.text((x + PADDING + 17, y), "all", bold=True)
    draw_cells(drawing, (x, y), cells(unet, unet), bold=True)
    y += LINE_HEIGHT
    drawing.text((x + PADDING + 17, y), "of it attention's products, QKᵀ and AV")
    products = Macs(attention=unet.macs.attention)
    draw_cells(drawing, (x, y), ("", "", unit.format(products), share(products.total, unet.macs.total)))
    return y


def cells(part: Entry | Outline, unet: Outline) -> tuple[str, str, str, str]:
    return (
        count(part.parameters),
        share(part.parameters, unet.parameters),
        mac_unit(unet.macs).format(part.macs),
        share(part.macs.total, unet.macs.total),
    )


def draw_cells(
    drawing: Drawing, line: Point, texts: Sequence[str], *, fill: str = INK, bold: bool = False
) -> None:
    x, y = line
    for column, text in zip(COLUMNS, texts, strict=True):
        if text:
            drawing.text((x + column, y), text, anchor="end", fill=fill, bold=bold)


def draw_bar(
    drawing: Drawing, corner: Point, label: str, entries: Sequence[Entry], amounts: Sequence[int]
) -> None:
    """The amounts side by side, after a label."""
    x, y = corner
    drawing.text((x, y + 14), label)
    x += LABEL_WIDTH
    whole, full = sum(amounts), PANEL_WIDTH - 2 * PADDING - LABEL_WIDTH
    for entry, amount in zip(entries, amounts, strict=True):
        width = full * amount / whole
        drawing.rectangle((x, y), width, BAR_HEIGHT, fill=share_colour(entry.name), radius=0)
        x += width
