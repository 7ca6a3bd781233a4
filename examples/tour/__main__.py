"""Compute the pictures and numbers of docs/tour.md, all of them or those of some stations.

python -m examples.tour docs/images/tour
python -m examples.tour docs/images/tour guidance samplers
python -m examples.tour docs/images/tour --text docs/tour.md docs/tour.zh-CN.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

import gesso
from gesso.pipeline.pipeline import Pipeline

from . import autoencoder, guidance, levels, samplers, steps, text_encoder, words
from .quotes import Numbers, filled
from .shown import Shown, save

STATIONS: dict[str, Callable[[Pipeline], Shown]] = {
    "autoencoder": autoencoder.station,
    "text_encoder": text_encoder.station,
    "levels": levels.station,
    "steps": steps.station,
    "words": words.station,
    "guidance": guidance.station,
    "samplers": samplers.station,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pictures and numbers.json go")
    parser.add_argument("stations", nargs="*", metavar="station", help=f"of {', '.join(STATIONS)}; or all")
    parser.add_argument(
        "--text", nargs="+", type=Path, default=[], help="files in which to fill in numbers"
    )
    parser.add_argument("--model", default="storybook", help="any model `gesso --model` takes")
    options = parser.parse_args()
    if unknown := set(options.stations) - set(STATIONS):
        parser.error(f"there is no station {', '.join(sorted(unknown))}")

    options.folder.mkdir(parents=True, exist_ok=True)
    pipe = gesso.load(options.model, device="cpu")
    kept = options.folder / "numbers.json"
    numbers: Numbers = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in options.stations or STATIONS:
        with torch.inference_mode():
            shown = STATIONS[name](pipe)
        for picture, content in shown.pictures.items():
            print(save(content, options.folder, picture))
        numbers[name] = shown.numbers
    numbers = {name: numbers[name] for name in STATIONS if name in numbers}
    kept.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    for path in options.text:
        path.write_text(filled(path.read_text(encoding="utf-8"), numbers), encoding="utf-8")


if __name__ == "__main__":
    main()
