"""A drawing as SVG: a few shapes, text and arrows, with nothing to load from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import Literal
from xml.etree import ElementTree

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
INK = "#1f2430"


class Drawing:
    """Elements are painted in the order in which they are added."""

    def __init__(self) -> None:
        self.elements: list[ElementTree.Element] = []

    def add(self, tag: str, **attributes: str | float) -> ElementTree.Element:
        written = {name.rstrip("_").replace("_", "-"): number(value) for name, value in attributes.items()}
        element = ElementTree.Element(tag, written)
        self.elements.append(element)
        return element

    def rectangle(
        self,
        corner: Point,
        width: float,
        height: float,
        *,
        fill: str,
        stroke: str = "none",
        radius: float = 5,
        dashed: bool = False,
    ) -> None:
        attributes = {"stroke_dasharray": "4 3"} if dashed else {}
        x, y = corner
        self.add(
            "rect", x=x, y=y, width=width, height=height, rx=radius, fill=fill, stroke=stroke, **attributes
        )

    def text(
        self,
        at: Point,
        content: str,
        *,
        size: float = 11,
        anchor: Anchor = "start",
        bold: bool = False,
        fill: str = INK,
    ) -> None:
        """One line of text; ``at`` is on its baseline."""
        x, y = at
        weight = {"font_weight": "bold"} if bold else {}
        self.add("text", x=x, y=y, font_size=size, text_anchor=anchor, fill=fill, **weight).text = content

    def line(self, points: Sequence[Point], *, stroke: str = INK, width: float = 1.3) -> None:
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add(
            "polyline", points=path, fill="none", stroke=stroke, stroke_width=width, stroke_linejoin="round"
        )

    def arrow(
        self, points: Sequence[Point], *, stroke: str = INK, width: float = 1.3, head: float = 6
    ) -> None:
        """A line that ends in a filled triangle, drawn as such since not every viewer draws markers."""
        (x0, y0), (x1, y1) = points[-2:]
        length = hypot(x1 - x0, y1 - y0)
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        base = (x1 - head * dx, y1 - head * dy)
        self.line([*points[:-1], base], stroke=stroke, width=width)
        half = 0.45 * head
        corners = [
            (x1, y1),
            (base[0] - half * dy, base[1] + half * dx),
            (base[0] + half * dy, base[1] - half * dx),
        ]
        self.add("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in corners), fill=stroke)

    def dot(self, at: Point, *, fill: str, radius: float = 2.2) -> None:
        self.add("circle", cx=at[0], cy=at[1], r=radius, fill=fill)

    def plus(self, at: Point, *, stroke: str = INK, radius: float = 7) -> None:
        """An addition: a circle with a cross."""
        x, y = at
        self.add("circle", cx=x, cy=y, r=radius, fill="#ffffff", stroke=stroke, stroke_width=1.3)
        arm = 0.6 * radius
        self.line([(x - arm, y), (x + arm, y)], stroke=stroke)
        self.line([(x, y - arm), (x, y + arm)], stroke=stroke)

    def to_svg(self, width: float, height: float, title: str, description: str) -> str:
        """The file's text: on white ground, so that it reads the same in light and dark viewers."""
        root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {number(width)} {number(height)}",
                "width": number(width),
                "height": number(height),
                "font-family": FONT,
                "role": "img",
            },
        )
        ElementTree.SubElement(root, "title").text = title
        ElementTree.SubElement(root, "desc").text = description
        ElementTree.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
        root.extend(self.elements)
        ElementTree.indent(root)
        return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def number(value: str | float) -> str:
    """Coordinates to a tenth of a pixel, without trailing zeros; strings as they are."""
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def text_width(content: str, size: float, *, bold: bool = False) -> float:
    """About how wide a line is set, after DejaVu Sans, the widest of the fonts asked for."""
    return (0.69 if bold else 0.61) * size * len(content)
