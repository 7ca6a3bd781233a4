"""How long it takes to begin: imports, loading, and the first picture of the built-in model.

    python benchmarks/startup.py [--runs 5] [--json startup.json]

Everything is timed as whole processes, in turns, from their start to what is named, with the files in the
system's cache. "Ready" is a pipeline that can be called; "load alone" is a second load in a process that
has imported everything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import machine
from report import print_table, write_json
from sd15_weights import add_weights_option, ensure
from worker import QUIET

PROMPT = "a red house beside a pine tree, at night"
GESSO = "import gesso; load = lambda: gesso.load(FOLDER, device='cpu', dtype='float32')"
DIFFUSERS = (
    "from diffusers import StableDiffusionPipeline; "
    "load = lambda: StableDiffusionPipeline.from_pretrained(FOLDER, safety_checker=None)"
)
SECOND_LOAD = (
    "load(); import time; started = time.perf_counter(); load(); print(time.perf_counter() - started)"
)
IMPORT_GESSO = (
    "import time; started = time.perf_counter(); import gesso; print(time.perf_counter() - started)"
)


@dataclass(frozen=True)
class Start:
    """Something that is waited for.

    Attributes:
        arguments: of the Python process.
        prints: it says itself how many seconds it took; else the whole process counts.
        beside: what it is compared with, and how: "of" it or "beyond" it.
        target: of that ratio or difference, or of the seconds themselves.
    """

    arguments: Sequence[str]
    prints: bool = False
    beside: tuple[Literal["of", "beyond"], str] | None = None
    target: float | None = None


def starts(folder: Path, pictures: Path) -> dict[str, Start]:
    """Everything that is timed, by name."""

    def code(program: str) -> list[str]:
        return ["-c", f"FOLDER = {str(folder)!r}; {program}"]

    picture = ["-m", "gesso", PROMPT, "--seed", "7", "--output", f"{pictures}/"]
    return {
        "import gesso": Start(code(IMPORT_GESSO), prints=True, target=0.1),
        "gesso --help": Start(["-m", "gesso", "--help"], target=0.4),
        "import torch": Start(code("import torch")),
        "built-in model to PNG": Start(picture, beside=("beyond", "import torch"), target=1.5),
        "Diffusers, ready": Start(code(f"{DIFFUSERS}; load()")),
        "gesso, ready": Start(code(f"{GESSO}; load()"), beside=("of", "Diffusers, ready"), target=0.4),
        "Diffusers, load alone": Start(code(f"{DIFFUSERS}; {SECOND_LOAD}"), prints=True),
        "gesso, load alone": Start(
            code(f"{GESSO}; {SECOND_LOAD}"), prints=True, beside=("of", "Diffusers, load alone"), target=0.5
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each (default: %(default)s)")
    add_weights_option(parser)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    folder = ensure(options.weights)
    print(machine.headline(), flush=True)
    with tempfile.TemporaryDirectory() as pictures:
        waited_for = starts(folder, Path(pictures))
        for start in waited_for.values():
            run(start)  # files into the cache
        seconds: dict[str, list[float]] = {name: [] for name in waited_for}
        for _ in range(options.runs):
            for name, start in waited_for.items():
                seconds[name].append(run(start))
    print_table(("", "median (min…max)", "", "target"), rows(waited_for, seconds))
    write_json(options.json, "startup", {"runs": options.runs}, seconds)


def run(start: Start) -> float:
    """Seconds until what is waited for."""
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, *start.arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | QUIET,
    )
    return float(ended.stdout) if start.prints else time.perf_counter() - started


def rows(waited_for: dict[str, Start], seconds: dict[str, list[float]]) -> list[tuple[str, ...]]:
    """One line for each: its times, and what they are beside another's."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    lines: list[tuple[str, ...]] = []
    for name, start in waited_for.items():
        times = f"{medians[name]:.3f} s ({min(seconds[name]):.3f}…{max(seconds[name]):.3f})"
        how, other = start.beside or ("", "")
        unit = "" if how == "of" else " s"
        compared = ""
        if how == "of":
            compared = f"{medians[name] / medians[other]:.2f} of {other}"
        elif how == "beyond":
            compared = f"{medians[name] - medians[other]:.2f} s beyond {other}"
        lines.append((name, times, compared, "" if start.target is None else f"≤ {start.target}{unit}"))
    return lines


if __name__ == "__main__":
    main()
