"""``gesso convert``: between a Diffusers folder and a single file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write a model in the other layout.")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    help="Precision to write.  [default: as it is]",
)
@click.option("--ema", is_flag=True, help="Take the averaged weights of a file that has both.")
def convert(source: str, destination: Path, dtype: str | None, ema: bool) -> None:
    """Write the model SRC as DST: a single file if DST ends in .safetensors, else a Diffusers folder.

    \b
    gesso convert v1-5-pruned.ckpt sd15/                a folder for Diffusers
    gesso convert sd15/ sd15-half.safetensors --dtype float16

    SRC is anything `--model` takes. Without --dtype every value stays the same to the last bit. DST must
    not exist, and appears whole or not at all.
    """
    import torch

    from gesso.weights.save import convert as convert_checkpoint

    convert_checkpoint(source, destination, dtype=getattr(torch, dtype) if dtype else None, ema=ema)
    click.echo(str(destination))
