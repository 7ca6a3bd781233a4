"""``gesso models``: what can be drawn with, without downloading anything."""

from __future__ import annotations

import json

import click


@click.command(short_help="List the models at hand.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def models(as_json: bool) -> None:
    """List the built-in model and the Stable Diffusion 1.x models in the Hugging Face cache.

    Any name in the list is good for `--model`; so is the path of a file or folder that is not.
    """
    from gesso.cli.table import table
    from gesso.weights.hub import local_models

    found = local_models()
    if as_json:
        click.echo(json.dumps({"models": [{"name": m.name, "path": str(m.path)} for m in found]}, indent=2))
        return
    click.echo(table(("model", "folder"), [(model.name, str(model.path)) for model in found]))
