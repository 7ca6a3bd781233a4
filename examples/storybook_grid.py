"""Draw a grid of the built-in model's pictures, each under its prompt: the one in the README.

python examples/storybook_grid.py docs/images/storybook.png
"""

from __future__ import annotations

import argparse
import textwrap

from PIL import Image, ImageDraw, ImageFont

import gesso
from gesso.storybook.captions import EXAMPLE_PROMPTS

COLUMNS = 4
SIDE = 256
CAPTION = 56
GAP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", help="where to write the grid, a .png")
    parser.add_argument("--model", default="storybook", help="any model `gesso --model` takes")
    parser.add_argument("--seed", type=int, default=7, help="of every picture (default: %(default)s)")
    parser.add_argument("--sampler", help="default: the model's")
    arguments = parser.parse_args()

    pipe = gesso.load(arguments.model)
    fields = {"seed": arguments.seed, "sampler": arguments.sampler}
    pictures = [pipe(prompt, **fields).images[0] for prompt in EXAMPLE_PROMPTS]
    grid(pictures, EXAMPLE_PROMPTS).save(arguments.output)


def grid(pictures: list[Image.Image], captions: tuple[str, ...]) -> Image.Image:
    """Lay pictures out in rows, with their captions below."""
    rows = -(-len(pictures) // COLUMNS)
    size = (COLUMNS * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION) + GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = GAP + index % COLUMNS * (SIDE + GAP)
        top = GAP + index // COLUMNS * (SIDE + CAPTION)
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
        text = "\n".join(textwrap.wrap(caption, 34))
        draw.text((left, top + SIDE + 4), text, fill="black", font=font)
    return sheet


if __name__ == "__main__":
    main()
