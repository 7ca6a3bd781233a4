"""How long a person waits for the first picture: process start to written PNG, beside `import torch`.

    python benchmarks/first_picture.py [--runs 7]

Both are timed as whole processes, in turns, so that a busy machine slows both; medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMPT = "a red house beside a pine tree, at night"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="of each (default: %(default)s)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "import torch": ["-c", "import torch"],
            "gesso PROMPT": ["-m", "gesso", PROMPT, "--seed", "7", "--output", f"{folder}/"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                seconds[name].append(run(command))
        drawn = len(list(Path(folder).glob("*.png")))
    if drawn != runs:
        raise SystemExit(f"{drawn} of {runs} pictures were written")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f}…{max(seconds[name]):.2f}"
        print(f"{name:14} {median:5.2f} s  ({spread}, {runs} runs)")
    print(f"{'difference':14} {medians['gesso PROMPT'] - medians['import torch']:5.2f} s")


def run(arguments: list[str]) -> float:
    """Seconds of a Python process from its start to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
