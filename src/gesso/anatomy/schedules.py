"""The figure of the schedules: at which noise levels the steps of each of them stop."""

from __future__ import annotations

import math

from gesso.anatomy.figure.palette import FRAME, MUTED
from gesso.anatomy.figure.svg import Drawing, text_width
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES, Schedule

WIDTH = 510.0
TOP, ROW = 78.0, 30.0
MARGIN = 24.0
TICKS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LABEL_SIZE = 11.0
COLOUR = "#2f6db0"
MOST_DOTS = 120
"""Of a row; more would be one line anyway."""


def draw_schedules(noise_schedule: NoiseSchedule, steps: int) -> str:
    """An SVG with one row a schedule and one dot a noise level, over the logarithm of σ.

    Schedules whose sigmas are the same share a row. Steps run from left to right; the last sigma, 0, lies
    beyond the right end.
    """
    rows = {label(each): sigmas for each, sigmas in together(noise_schedule, steps)}
    left = MARGIN + max(text_width(names, LABEL_SIZE) for names in rows) + 12
    right, bottom = left + WIDTH, TOP + ROW * len(rows)
    drawing = Drawing()
    title = "Where one step stops" if steps == 1 else f"Where {steps} steps stop"
    drawing.text((MARGIN, 34), title, size=16, bold=True)
    drawing.text((MARGIN, 54), "noise level σ, on a logarithmic scale; noise on the left", fill=MUTED)
    for sigma in TICKS:
        x = left + WIDTH * place(sigma, noise_schedule)
        drawing.line([(x, TOP - 8), (x, bottom)], stroke="#e3e6ea", width=1)
        drawing.text((x, bottom + 16), f"{sigma:g}", anchor="middle", fill=MUTED)
    for row, (names, sigmas) in enumerate(rows.items()):
        y = TOP + ROW * (row + 0.5)
        drawing.text((MARGIN, y + 4), names, size=LABEL_SIZE)
        drawing.line([(left, y), (right, y)], stroke=FRAME, width=0.6)
        for sigma in sigmas[:: max(1, len(sigmas) // MOST_DOTS)]:
            drawing.dot((left + WIDTH * place(sigma, noise_schedule), y), fill=COLOUR, radius=3)
    described = f"One row a schedule, one dot for each of the {steps} noise levels it denoises at."
    return drawing.to_svg(right + MARGIN, bottom + 32, "Sigma schedules", described)


def together(noise_schedule: NoiseSchedule, steps: int) -> list[tuple[list[Schedule], list[float]]]:
    """The schedules with their sigmas but the last, 0; those of the same sigmas as one."""
    rows: list[tuple[list[Schedule], list[float]]] = []
    for schedule in SCHEDULES.values():
        sigmas = schedule(noise_schedule, steps)[:-1].tolist()
        for others, theirs in rows:
            if all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(sigmas, theirs, strict=True)):
                others.append(schedule)
                break
        else:
            rows.append(([schedule], sigmas))
    return rows


def label(schedules: list[Schedule]) -> str:
    return ", ".join(schedule.name for schedule in schedules)


def place(sigma: float, noise_schedule: NoiseSchedule) -> float:
    """Where a noise level lies between the largest, 0, and the smallest, 1."""
    high, low = math.log(noise_schedule.sigma_max), math.log(noise_schedule.sigma_min)
    return (high - math.log(sigma)) / (high - low)
