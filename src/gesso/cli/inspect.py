"""``gesso inspect``: what a model is made of, from its modules."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import click

from gesso.config import PRESETS, STORYBOOK, ModelConfig


class Size(click.ParamType):
    """``512x768``: width and height in pixels."""

    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", str(value).strip().lower())
        if match is None:
            self.fail(
                f"{value!r} is no size. Write width and height in pixels, such as 512x768.", param, ctx
            )
        return int(match[1]), int(match[2])


@click.command(short_help="Show what a model is made of.")
@click.argument("model", default=STORYBOOK.name)
@click.option("--size", type=Size(), help="Size of the picture; the model's own if left out.")
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the UNet into this SVG file; it must not exist.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
def inspect(model: str, size: tuple[int, int] | None, figure: Path | None, as_json: bool) -> None:
    """Show the blocks of a model, their shapes, skips, parameters and arithmetic.

    MODEL is a preset that needs no weights (sd15, sd15-inpaint, storybook), a checkpoint (a Diffusers
    folder, a .safetensors or .ckpt file) or a Hugging Face id. Everything shown is read from the modules
    themselves, by running them on tensors that have a shape and no numbers.
    """
    from gesso.anatomy.as_json import to_json
    from gesso.anatomy.dissect import dissect
    from gesso.anatomy.report import report

    config, notes = look_up(model)
    anatomy = dissect(config, *(size or ()))
    if figure is not None:
        from gesso.anatomy.figure import draw
        from gesso.weights.atomic import new_file

        drawing = draw(anatomy)
        with new_file(figure) as temporary:
            temporary.write_text(drawing, encoding="utf-8")
        click.echo(f"The figure is in {figure}.", err=True)
    if as_json:
        click.echo(json.dumps({**notes, **to_json(anatomy)}, ensure_ascii=False))
    else:
        click.echo(report(anatomy, describe(notes)), nl=False)


def look_up(model: str) -> tuple[ModelConfig, dict[str, str]]:
    """The configuration of a preset or a checkpoint, and what there is to say about the checkpoint."""
    if model in PRESETS and not Path(model).exists():
        return PRESETS[model], {}
    from gesso.weights.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(model)
    parts = (checkpoint.unet, checkpoint.autoencoder, checkpoint.text_encoder)
    types = Counter(str(tensor.dtype).removeprefix("torch.") for part in parts for tensor in part.values())
    notes = {"file": str(checkpoint.path), "layout": checkpoint.layout}
    return checkpoint.config, {**notes, "dtype": ", ".join(name for name, _ in types.most_common())}


def describe(notes: dict[str, str]) -> list[str]:
    return [f"{notes['layout']} layout, {notes['dtype']}: {notes['file']}"] if notes else []
