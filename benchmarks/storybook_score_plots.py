"""Charts of what storybook_score.py measured, as SVG files.

    python benchmarks/storybook_score_plots.py score.json docs/images

Writes score-guidance.svg, score-tradeoff.svg, score-steps.svg and score-samplers.svg, as far as the file
has what they show.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from axes import COLOURS, GRID, INSET, MUTED, Axis, Panel, legend, mark, round_ticks
from storybook_score_record import Record, Setting

from gesso.anatomy.figure.svg import INK, Drawing, Point
from gesso.diffusion.samplers import SAMPLERS
from gesso.storybook.shares import EVERY

WIDTH, HEIGHT, MARGIN = 760.0, 330.0, 20.0
TOP, BOTTOM = 104.0, 282.0
LEFT, PANEL, BETWEEN = 62.0, 304.0, 68.0
ROW, NAMES = 19.0, 170.0
SHARES = {"whole": "prompts drawn right in everything", EVERY: "attributes drawn right"}
PARTS = {"seen": "combinations that training showed", "unseen": "combinations that it never showed"}

Results = dict[Setting, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("json", type=Path, help="what storybook_score.py wrote")
    parser.add_argument("folder", type=Path, help="where the charts go")
    options = parser.parse_args()
    record = Record.read(options.json)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, draw in CHARTS.items():
        chart = draw(record)
        path = options.folder / f"score-{name}.svg"
        if chart is None:
            print(f"{path}: not drawn, for {options.json} has too little of it")
        else:
            path.write_text(chart, encoding="utf-8")
            print(path)


def guidance(record: Record) -> str | None:
    """Shares over the guidance scale: seen and unseen combinations, beside the ceiling of each."""
    results = over_guidance(record)
    if len(results) < 2:
        return None
    drawing = begun(
        record, "How much of what is asked is drawn, by guidance scale", without_guidance(record)
    )
    legend(drawing, (MARGIN, 66), list(PARTS.values()), "renderings")
    for place, (name, title) in enumerate(SHARES.items()):
        parts = {part: [score[part] for score in results.values()] for part in PARTS}
        reached = [each for shares in parts.values() for share in shares for each in span(share, name)]
        ceilings = {part: shares[0]["ceiling"][name] for part, shares in parts.items()}
        x = linear_axis(place, [setting.guidance_scale for setting in results])
        panel = Panel(drawing, x, share_axis([*reached, *ceilings.values()]))
        panel.frame(title, "guidance scale")
        for number, (part, shares) in enumerate(parts.items()):
            points = [
                (s.guidance_scale, each["drawn"][name]) for s, each in zip(results, shares, strict=True)
            ]
            panel.level(ceilings[part], COLOURS[number])
            panel.band(points, [each["error"][name] for each in shares], number)
            panel.curve(points, number)
    return drawing.to_svg(WIDTH, HEIGHT, "Score over guidance scale", BANDS)


def tradeoff(record: Record) -> str | None:
    """How far drawings are from renderings, and how far from each other, over the guidance scale."""
    results = {s: score for s, score in over_guidance(record).items() if score["diversity"] is not None}
    if len(results) < 2:
        return None
    drawing = begun(record, "Likeness and variety, by guidance scale", without_guidance(record))
    legend(drawing, (MARGIN, 66), ["drawings"], "renderings")
    titles = {
        "frechet": "Fréchet distance to renderings; less is better",
        "diversity": "how much pictures of one prompt differ",
    }
    levels = {"frechet": next(iter(results.values()))["frechet_ceiling"], "diversity": 1.0}
    for place, (name, title) in enumerate(titles.items()):
        points = [(setting.guidance_scale, score[name]) for setting, score in results.items()]
        ticks = round_ticks(0, max(levels[name], *(value for _, value in points)))
        y = Axis(ticks[0], ticks[-1], BOTTOM, TOP, ticks)
        panel = Panel(drawing, linear_axis(place, [scale for scale, _ in points]), y)
        panel.frame(title, "guidance scale")
        panel.level(levels[name], INK)
        panel.curve(points, 0)
    about = "Dashed is what two renderings of each prompt, or several of one, have between them."
    return drawing.to_svg(WIDTH, HEIGHT, "Fréchet distance and diversity over guidance scale", about)


def steps(record: Record) -> str | None:
    """Shares over the number of steps, a line for each sampler that was drawn with several."""
    usual = record.usual.guidance_scale
    results = {s: score for s, score in record.results.items() if s.guidance_scale == usual}
    counts = [setting.sampler for setting in results]
    samplers = [name for name in dict.fromkeys(counts) if counts.count(name) > 2][: len(COLOURS)]
    if not samplers:
        return None
    results = {s: results[s] for s in sorted(results, key=lambda s: s.steps) if s.sampler in samplers}
    drawing = begun(record, "How much of what is asked is drawn, by steps", f"guidance {usual:g}")
    legend(drawing, (MARGIN, 66), samplers)
    ticks = sorted({setting.steps for setting in results})
    for place, (name, title) in enumerate(SHARES.items()):
        reached = [each for score in results.values() for each in span(score["total"], name)]
        x = Axis(ticks[0], ticks[-1], *ends_of(place), ticks, logarithmic=True)
        panel = Panel(drawing, x, share_axis(reached))
        panel.frame(title, "steps")
        for number, sampler in enumerate(samplers):
            own = {s: score["total"] for s, score in results.items() if s.sampler == sampler}
            points = [(setting.steps, share["drawn"][name]) for setting, share in own.items()]
            aside = 2.5 * (number - (len(samplers) - 1) / 2)
            for (at, share), shares in zip(points, own.values(), strict=True):
                whisker(panel, x(at) + aside, share, shares["error"][name], number)
            panel.curve(points, number)
    return drawing.to_svg(WIDTH, HEIGHT, "Score over steps", BANDS)


def samplers(record: Record) -> str | None:
    """A row for each sampler at the usual number of steps, the best first."""
    usual = record.usual
    results = {
        setting.sampler: score["total"]
        for setting, score in record.results.items()
        if (setting.steps, setting.guidance_scale) == (usual.steps, usual.guidance_scale)
    }
    if len(results) < 2:
        return None
    best_first = sorted(results, key=lambda name: [-results[name]["drawn"][each] for each in SHARES])
    settings = f"{usual.steps} steps, guidance {usual.guidance_scale:g}; ×2 asks the network twice a step"
    drawing = begun(record, "How much of what is asked is drawn, by sampler", settings)
    top, bottom = 86.0, 86.0 + ROW * len(results)
    width = (WIDTH - NAMES - MARGIN - BETWEEN) / 2
    for place, (name, title) in enumerate(SHARES.items()):
        reached = [each for share in results.values() for each in span(share, name)]
        ticks = share_ticks(reached)
        left = NAMES + place * (width + BETWEEN)
        x = Axis(ticks[0], ticks[-1], left, left + width, ticks, percent)
        panel = Panel(drawing, x, Axis(0, len(results), top, bottom, ()))
        drawing.text((left, top - 12), title, size=12, bold=True)
        upright(panel)
        for row, sampler in enumerate(best_first):
            dot_with_error(panel, row + 0.5, results[sampler], name, place)
    for row, sampler in enumerate(best_first):
        twice = " ×2" if SAMPLERS[sampler].calls > 1 else ""
        drawing.text((NAMES - 10, top + ROW * (row + 0.5) + 4), sampler + twice, anchor="end")
    return drawing.to_svg(WIDTH, bottom + 34, "Score of each sampler", BANDS)


CHARTS: dict[str, Callable[[Record], str | None]] = {
    "guidance": guidance,
    "tradeoff": tradeoff,
    "steps": steps,
    "samplers": samplers,
}
BANDS = "Bands and whiskers are one standard error to either side."


def begun(record: Record, title: str, settings: str) -> Drawing:
    """A drawing with its title, and a line on what was drawn."""
    drawing = Drawing()
    drawing.text((MARGIN, 26), title, size=15, bold=True)
    common = record.common
    about = f"{common['model']}, {common['count']} prompts of the {common['world']} world, {settings}"
    drawing.text((MARGIN, 45), about, fill=MUTED)
    return drawing


def without_guidance(record: Record) -> str:
    return f"{record.usual.sampler}, {record.usual.steps} steps"


def over_guidance(record: Record) -> Results:
    """The results that differ from the usual setting in guidance alone, in its order."""
    usual = record.usual
    chosen = [s for s in record.results if (s.sampler, s.steps) == (usual.sampler, usual.steps)]
    return {s: record.results[s] for s in sorted(chosen, key=lambda s: s.guidance_scale)}


def span(shares: Mapping[str, Any], name: str) -> tuple[float, float]:
    """A share less and plus its error."""
    share, error = shares["drawn"][name], shares["error"][name]
    return max(0.0, share - error), min(1.0, share + error)


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def share_ticks(values: Sequence[float]) -> list[float]:
    return [tick for tick in round_ticks(min(values), max(values)) if tick <= 1]


def ends_of(place: int) -> tuple[float, float]:
    """Where the x axis of the left or right panel begins and ends."""
    left = LEFT + place * (PANEL + BETWEEN)
    return left + INSET, left + PANEL - INSET


def linear_axis(place: int, values: Sequence[float]) -> Axis:
    """Along the left or right panel, with a tick at each value."""
    return Axis(min(values), max(values), *ends_of(place), values)


def share_axis(values: Sequence[float]) -> Axis:
    """Up a panel, over what is reached."""
    ticks = share_ticks(values)
    return Axis(ticks[0], ticks[-1], BOTTOM, TOP, ticks, percent)


def whisker(panel: Panel, x: float, share: float, error: float, number: int) -> None:
    """An upright line over one error to either side."""
    ends = [(x, panel.y(share - error)), (x, panel.y(share + error))]
    panel.drawing.line(ends, stroke=COLOURS[number], width=0.9)


def upright(panel: Panel) -> None:
    """Upright lines at the ticks of x."""
    for tick in panel.x.ticks:
        at = panel.x(tick)
        panel.drawing.line([(at, panel.y.start), (at, panel.y.end)], stroke=GRID, width=1)
        label = panel.x.label(tick)
        panel.drawing.text((at, panel.y.end + 16), label, anchor="middle", fill=MUTED)


def dot_with_error(panel: Panel, row: float, shares: Mapping[str, Any], name: str, number: int) -> None:
    """A mark in a row, and a line over one error to either side."""
    y = panel.y(row)
    ends: list[Point] = [(panel.x(end), y) for end in span(shares, name)]
    panel.drawing.line(ends, stroke=COLOURS[number], width=1.3)
    mark(panel.drawing, (panel.x(shares["drawn"][name]), y), number)


if __name__ == "__main__":
    main()
