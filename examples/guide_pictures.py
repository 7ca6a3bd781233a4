"""Draw the pictures of docs/guide.md with the built-in model.

    python examples/guide_pictures.py docs/images [NAME …]

Each is a row: what goes in, and what comes out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import gesso
from gesso.pipeline.preview import DrawingStep

SCENE = "a red house beside a pine tree"
GAP = 6
Row = list[Image.Image]

pipe = gesso.load()


def draw(prompt: str, **fields: Any) -> Row:
    return pipe(prompt, **{"seed": 7, "steps": 20, **fields}).images


def disc(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """A mask of a picture: an ellipse within these shares of its width and height."""
    width, height = picture.size
    left, top, right, bottom = box
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).ellipse((left * width, top * height, right * width, bottom * height), fill=255)
    return mask


def image_to_image() -> Row:
    (scene,) = draw(SCENE)
    prompt = "a yellow castle beside a green tree in a meadow, at sunset"
    changed = [draw(prompt, image=scene, strength=strength)[0] for strength in (0.3, 0.5, 0.7, 0.9)]
    return [scene, *changed]


def inpainting() -> Row:
    (scene,) = draw(SCENE)
    mask = disc(scene, (0.42, 0.2, 1.05, 1.05))
    return [scene, mask, *draw("a yellow flower on snow, by day", image=scene, mask=mask, seed=6, count=3)]


def only_masked() -> Row:
    side = 2 * pipe.config.image_size
    (scene,) = draw(SCENE, width=side, height=side)
    mask = disc(scene, (0.46, 0.22, 0.72, 0.56))
    fields = {"image": scene, "mask": mask, "seed": 2}
    return [scene, mask, *draw("an orange balloon by day", only_masked=True, mask_padding=32, **fields)]


def outpainting() -> Row:
    (scene,) = draw(SCENE)
    return [scene, *draw(SCENE, image=scene, expand="right=128", seed=5)]


def variations() -> Row:
    return draw(SCENE) + draw(SCENE, variation_strength=0.25, variation_seed=1, count=4)


def seed_resize() -> Row:
    side = pipe.config.image_size
    fields = {"prompt": "a red house on snow, by day", "seed": 1}
    return [
        *draw(**fields),
        *draw(**fields, width=side * 3 // 2, seed_resize=(side, side)),
        *draw(**fields, width=side * 3 // 2),
    ]


def tiling() -> Row:
    (tile,) = draw("a pine tree on snow", tiling="x", seed=5)
    repeated = Image.new("RGB", (3 * tile.width, tile.height))
    for place in range(3):
        repeated.paste(tile, (place * tile.width, 0))
    return [tile, repeated]


def perturbed_attention() -> Row:
    pag = {"pag_scale": 3, "pag_layers": "up.1"}
    return [
        picture
        for fields in ({"guidance_scale": 1}, {})
        for picture in draw(SCENE, **fields) + draw(SCENE, **fields, **pag)
    ]


def self_attention() -> Row:
    return [picture for scale in (0, 1, 2, 4) for picture in draw(SCENE, sag_scale=scale)]


def freeu() -> Row:
    settings = (None, "1.1,1.1,0.9,0.8", "1.3,1.3,0.9,0.5", "1.5,1.6,0.9,0.2")
    return [picture for each in settings for picture in draw(SCENE, freeu=each)]


def grid() -> Row:
    cells = gesso.Grid(
        "a red house beside a pine tree, at night",
        x="guidance_scale=1,2,4,8",
        y="prompt:at night=at night,at sunset,on snow",
        seed=8,
    )
    images = {cell.place: image for cell, image in cells.draw(pipe)}
    return [gesso.draw_sheet(cells, images, cell_size=128)]


def heatmaps() -> Row:
    recorder = gesso.HeatmapRecorder()
    request = gesso.GenerationRequest(f"{SCENE}, at night", seed=7, steps=20).resolve(pipe.config)
    *_, last = pipe.stream(request, heatmaps=recorder)
    (picture,) = pipe.finish(last.latents, request)
    return [gesso.heatmap_sheet(picture, recorder.heatmaps()[0], tile_size=128)]


def some_steps() -> list[DrawingStep]:
    steps = pipe.stream(gesso.GenerationRequest(SCENE, seed=7, steps=20))
    return [step for step in steps if step.index in (0, 2, 4, 6, 9, 19)]


def film() -> Row:
    return [picture for step in some_steps() for picture in pipe.decode(step.denoised)]


def preview() -> Row:
    return [picture for step in some_steps() for picture in step.preview()]


def two_passes() -> Row:
    side = pipe.config.image_size * 3 // 2
    return [
        *draw(SCENE),
        *draw(SCENE, width=side, height=side),
        *draw(SCENE, hires_scale=1.5, hires_strength=0.5),
        *draw(SCENE, hires_scale=1.5, hires_strength=0.4, hires_upscaler="lanczos"),
    ]


ROWS: dict[str, Callable[[], Row]] = {
    "image-to-image": image_to_image,
    "inpainting": inpainting,
    "only-masked": only_masked,
    "outpainting": outpainting,
    "variations": variations,
    "seed-resize": seed_resize,
    "tiling": tiling,
    "perturbed-attention": perturbed_attention,
    "self-attention": self_attention,
    "freeu": freeu,
    "two-passes": two_passes,
    "grid": grid,
    "heatmaps": heatmaps,
    "film": film,
    "preview": preview,
}


def sheet(row: Row) -> Image.Image:
    """The pictures side by side on white, small ones enlarged to about 128 pixels in height."""
    scale = max(1, round(128 / max(picture.height for picture in row)))
    height = max(picture.height for picture in row) * scale
    width = sum(picture.width * scale + GAP for picture in row) - GAP
    page = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in row:
        large = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.LANCZOS)
        page.paste(large, (left, height - large.height))
        left += large.width + GAP
    return page


def main(folder: str, *names: str) -> None:
    for name in names or ROWS:
        path = Path(folder) / f"guide-{name}.png"
        sheet(ROWS[name]()).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
