"""``gesso samplers``: the ways from noise to a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command(short_help="List the samplers and the schedules.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the tables.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Also draw where the schedules stop into this file; it must not exist.",
)
@click.option("--steps", type=int, default=20, metavar="N", help="For --plot.  [default: 20]")
def samplers(as_json: bool, plot: Path | None, steps: int) -> None:
    """List the samplers and the schedules.

    Both the names and AUTOMATIC1111's labels are understood by `--sampler` and `--schedule`.
    """
    if plot is not None:
        draw_plot(plot, steps)
    click.echo(json.dumps(listing(), indent=2) if as_json else tables())


def listing() -> dict[str, list[dict[str, Any]]]:
    """Both tables as JSON values."""
    from gesso.diffusion.samplers import OPTIONS, SAMPLERS
    from gesso.diffusion.spacing import SCHEDULES

    return {
        "samplers": [
            {
                "name": sampler.name,
                "label": sampler.label,
                "kind": sampler.kind,
                "order": sampler.order,
                "default_schedule": sampler.default_schedule,
                "options": [option for option in OPTIONS if option in sampler.options],
                "paper": sampler.paper,
            }
            for sampler in SAMPLERS.values()
        ],
        "schedules": [
            {"name": schedule.name, "label": schedule.label, "about": schedule.about}
            for schedule in SCHEDULES.values()
        ],
    }


def tables() -> str:
    from gesso.cli.table import table

    found = listing()
    samplers = [
        (
            sampler["name"],
            sampler["label"],
            sampler["kind"],
            str(sampler["order"]),
            sampler["default_schedule"],
            " ".join(sampler["options"]) or "–",
            sampler["paper"],
        )
        for sampler in found["samplers"]
    ]
    schedules = [
        (schedule["name"], schedule["label"], schedule["about"]) for schedule in found["schedules"]
    ]
    head = ("sampler", "label", "kind", "order", "default schedule", "options", "paper")
    return f"{table(head, samplers)}\n\n{table(('schedule', 'label', 'steps are'), schedules)}"


def draw_plot(path: Path, steps: int) -> None:
    """Write the figure, whole or not at all.

    Raises:
        RequestError: no walk has so many steps.
        OutputError: the file exists, or cannot be written.
    """
    from gesso.anatomy.schedules import draw_schedules
    from gesso.diffusion.schedule import NoiseSchedule
    from gesso.pipeline.fields import check_whole
    from gesso.weights.atomic import new_file

    noise_schedule = NoiseSchedule()
    drawing = draw_schedules(noise_schedule, check_whole(steps, "steps", 1, noise_schedule.steps))
    with new_file(path) as temporary:
        temporary.write_text(drawing, encoding="utf-8")
    click.echo(f"The figure is in {path}.", err=True)
