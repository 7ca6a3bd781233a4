"""A bar chart of what cpu.py measured, as an SVG file.

python benchmarks/cpu.py --json cpu.json
python benchmarks/chart.py cpu.json docs/images/speed.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gesso.anatomy.figure.svg import Drawing

WIDTH, MARGIN, LABELS, BAR, GAP = 640, 16, 90, 20, 4
COLOURS = {"gesso": "#2f6f8f"}
GREY = "#b9c0c8"
TITLES = {"step": "a guided step", "decode": "a decode", "picture": "a whole picture"}


def draw(record: dict[str, Any]) -> str:
    """One group of bars a part, one bar a contender, the fastest first."""
    drawing = Drawing()
    standings, size = record["results"][0], record["settings"]["size"]
    title = f"Seconds at SD 1.5's size, {size} × {size}, float32; less is better"
    machine = f"{record['machine']['processor']}, {record['machine']['cores']} cores"
    drawing.text((MARGIN, MARGIN + 14), title, size=14, bold=True)
    drawing.text((MARGIN, MARGIN + 32), machine)
    y = MARGIN + 44.0
    for part in standings["gesso"]["seconds"]:
        medians = {name: standing["seconds"][part]["median"] for name, standing in standings.items()}
        drawing.text((MARGIN, y + 14), TITLES[part], size=12, bold=True)
        y = bars(drawing, y + 22, medians)
    return drawing.to_svg(WIDTH, y + MARGIN, title, f"Medians, measured on {machine}.")


def bars(drawing: Drawing, y: float, seconds: dict[str, float]) -> float:
    """Bars from ``y`` downwards; where they end."""
    room = WIDTH - 2 * MARGIN - LABELS - 60
    for name, median in sorted(seconds.items(), key=lambda pair: pair[1]):
        length = room * median / max(seconds.values())
        drawing.text((MARGIN + LABELS - 8, y + 14), name, anchor="end", size=12)
        drawing.rectangle((MARGIN + LABELS, y), length, BAR, fill=COLOURS.get(name, GREY), radius=2)
        drawing.text((MARGIN + LABELS + length + 6, y + 14), f"{median:.1f} s", size=12)
        y += BAR + GAP
    return y + GAP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("json", type=Path, help="what cpu.py wrote")
    parser.add_argument("svg", type=Path)
    options = parser.parse_args()
    options.svg.write_text(draw(json.loads(options.json.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
