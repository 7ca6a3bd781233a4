"""``gesso samplers``: the ways from noise to a picture."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the tables.")
def samplers(as_json: bool) -> None:
    """List the samplers and the schedules.

    Both the names and AUTOMATIC1111's labels are understood by `--sampler` and `--schedule`.
    """
    from gesso.cli.table import table
    from gesso.diffusion.samplers import SAMPLERS
    from gesso.diffusion.spacing import SCHEDULES

    if as_json:
        listing = {
            "samplers": [
                {
                    "name": sampler.name,
                    "label": sampler.label,
                    "order": sampler.order,
                    "takes_eta": sampler.takes_eta,
                    "default_schedule": sampler.default_schedule,
                    "paper": sampler.paper,
                }
                for sampler in SAMPLERS.values()
            ],
            "schedules": [
                {"name": schedule.name, "label": schedule.label, "about": schedule.about}
                for schedule in SCHEDULES.values()
            ],
        }
        click.echo(json.dumps(listing, indent=2))
        return
    click.echo(
        table(
            ("sampler", "label", "order", "default schedule", "paper"),
            [(s.name, s.label, str(s.order), s.default_schedule, s.paper) for s in SAMPLERS.values()],
        )
    )
    click.echo()
    click.echo(
        table(
            ("schedule", "label", "steps are"),
            [(schedule.name, schedule.label, schedule.about) for schedule in SCHEDULES.values()],
        )
    )
