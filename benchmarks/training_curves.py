"""The losses of a training of the built-in model, as an SVG chart.

    python benchmarks/training_curves.py runs/mine docs/images/training-curves.svg

Reads the files autoencoder.csv, reading.csv and denoiser.csv that `gesso train storybook` leaves in its
folder; each point is the mean over a hundredth of its stage.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import fmean

from axes import COLOURS, Axis, Panel, round_ticks

from gesso.anatomy.figure.svg import Drawing, Point

STAGES = {
    "autoencoder": "autoencoder: pixels, edges, divergence",
    "reading": "text encoder: what captions show where",
    "denoiser": "text encoder and UNet: v, and the layout",
}
WIDTH, HEIGHT, MARGIN = 900.0, 290.0, 20.0
LEFT, PANEL, BETWEEN = 52.0, 236.0, 56.0
TOP, BOTTOM = 84.0, 242.0
POINTS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a training")
    parser.add_argument("svg", type=Path, help="where the chart goes")
    options = parser.parse_args()
    drawing = Drawing()
    drawing.text((MARGIN, 30), "Losses while the built-in model was trained", size=16, bold=True)
    drawn = [draw_stage(drawing, options.run, place) for place in range(len(STAGES))]
    if not any(drawn):
        parser.error(f"{options.run} has none of {', '.join(f'{stage}.csv' for stage in STAGES)}")
    text = drawing.to_svg(WIDTH, HEIGHT, "Losses over steps", "Three falling curves, one for each stage.")
    options.svg.write_text(text, encoding="utf-8")
    print(options.svg)


def draw_stage(drawing: Drawing, run: Path, place: int) -> bool:
    """One stage's panel; False if the run has no losses of it."""
    name, title = list(STAGES.items())[place]
    path = run / f"{name}.csv"
    points = smoothed(read_losses(path)) if path.exists() else []
    if len(points) < 2:
        return False
    start = LEFT + place * (PANEL + BETWEEN)
    steps = round_ticks(0, points[-1][0], most=5)
    heights = [loss for _, loss in points[2:]]  # the first few would leave no room for the rest
    ticks = round_ticks(min(heights), max(heights), most=6)
    panel = Panel(
        drawing,
        Axis(0, steps[-1], start, start + PANEL, steps, label="{:,g}".format),
        Axis(ticks[0], ticks[-1], BOTTOM, TOP, ticks),
    )
    panel.frame(title, "steps")
    drawing.line([panel.at(point) for point in points], stroke=COLOURS[place], width=1.6)
    return True


def read_losses(path: Path) -> list[Point]:
    """(step, loss) of every step."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


def smoothed(losses: list[Point]) -> list[Point]:
    """Means over as many neighbours as leave ``POINTS`` points."""
    size = max(1, len(losses) // POINTS)
    parts = [losses[start : start + size] for start in range(0, len(losses) - size + 1, size)]
    return [(fmean(step for step, _ in part), fmean(loss for _, loss in part)) for part in parts]


if __name__ == "__main__":
    main()
