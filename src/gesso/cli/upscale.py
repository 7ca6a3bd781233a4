"""``gesso upscale``: a larger picture, by a filter, a network, or a model that draws over it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.options import model_options
from gesso.cli.unknown_words import UnknownWords

if TYPE_CHECKING:
    from PIL import Image

MULTIPLE = 8


@click.command(short_help="Enlarge a picture.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--scale", type=float, default=2.0, metavar="X", help="How many times as large.  [default: 2]"
)
@click.option(
    "--upscaler",
    default="lanczos",
    metavar="NAME|FILE",
    help="lanczos, bicubic, nearest, or the file of an ESRGAN-like network.  [default: lanczos]",
)
@click.option("--prompt", "-p", metavar="TEXT", help="Then draw over it, with what it shows in words.")
@click.option(
    "--strength",
    type=float,
    default=0.3,
    metavar="X",
    help="How much that may change, up to 1.  [default: 0.3]",
)
@click.option("--steps", type=int, default=20, metavar="N", help="Of that, 1 to 1000.  [default: 20]")
@click.option("--seed", "-s", type=int, metavar="S", help="Of that.  [default: drawn at random]")
@model_options
@click.option("--output", "-o", metavar="PATH", help="A .png file or a folder.  [default: outputs/]")
def upscale(
    file: Path,
    scale: float,
    upscaler: str,
    prompt: str | None,
    strength: float,
    steps: int,
    seed: int | None,
    output: str | None,
    **model: Any,
) -> None:
    """Enlarge the picture FILE, and print the path of the new one.

    \b
    gesso upscale house.png --scale 4 --upscaler 4x-network.pth
    gesso upscale house.png --prompt "a red house beside a pine tree" --strength 0.4
    """
    from gesso.errors import OutputError, RequestError
    from gesso.pipeline.fields import check_real
    from gesso.pipeline.output import OutputPattern, write_new_file
    from gesso.pipeline.pictures import Picture, check_size
    from gesso.pipeline.task_fields import MAX_SCALE
    from gesso.pipeline.upscalers import resolve_upscaler

    scale = check_real(scale, "scale", 1.0, MAX_SCALE)
    pattern = OutputPattern(output or "outputs/")
    path = pattern.path(seed or 0, 0)
    if pattern.is_folder:
        path = path / f"{file.stem}-{scale:g}x.png"
    if path.exists():
        raise OutputError("it exists already", "Choose another name, or a folder.", where=str(path))
    way = resolve_upscaler(upscaler, "upscaler")
    if way.of == "latents":
        raise RequestError(
            f"{way.name} enlarges latents, not pictures",
            "Use lanczos, bicubic or nearest.",
            where="upscaler",
        )
    picture = Picture.read(str(file), "file")
    multiple = 1 if prompt is None else MULTIPLE
    width, height = (max(int(side * scale) // multiple, 1) * multiple for side in picture.size)
    check_size((width, height), "scale")
    enlarged, info = way.enlarge(picture.colours(), (width, height)), None
    if prompt is not None:
        fields = {"strength": strength, "steps": steps, "seed": seed}
        enlarged, info = draw_over(enlarged, prompt, fields, model)
    buffer = io.BytesIO()
    enlarged.save(buffer, format="PNG", pnginfo=info)
    write_new_file(path, buffer.getvalue())
    click.echo(str(path))


def draw_over(
    picture: Image.Image, prompt: str, fields: dict[str, Any], model: dict[str, Any]
) -> tuple[Image.Image, Any]:
    """A picture drawn over by a model, and the texts to write with it."""
    from gesso.cli.progress import progress_bar
    from gesso.pipeline.load import BUILT_IN, load
    from gesso.pipeline.metadata import png_info
    from gesso.pipeline.pipeline import last_step
    from gesso.pipeline.request import GenerationRequest

    request = GenerationRequest(prompt, image=picture, **fields)
    pipeline = load(model.pop("model") or BUILT_IN, **model)
    resolved = request.resolve(pipeline.config)
    UnknownWords(pipeline).tell([resolved])
    with progress_bar(resolved.walked_steps, pipeline.name) as bar:

        def watched() -> Any:
            for step in pipeline.stream(resolved):
                bar.update()
                yield step

        (drawn,) = pipeline.finish(last_step(watched()).latents, resolved)
    return drawn, png_info(resolved, pipeline.name)
