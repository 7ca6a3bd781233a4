"""gesso on one NVIDIA GPU: steps, pictures, sizes, memory, and what each optimisation is worth.

    python benchmarks/gpu.py                            # all parts, into $OUT, or into this folder
    python benchmarks/gpu.py --out results --minutes 5 --peers diffusers,compile
    python benchmarks/gpu.py --parts agreement,step,ablation

A model of SD 1.5's size with random weights in float16 is built on the GPU: nothing is read or downloaded.
The first picture comes first, while nothing is compiled; nothing else is timed before the results of all
contenders are found to agree. A part that fails says why; one for which no time is left is not begun. Each
writes what it found at once, to gpu.json and gpu.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from gpu_parts import PARTS, PEERS, Subject
from report import write_json

from gesso.cli.table import table
from gesso.config import SD15, ModelConfig

MINUTES = 9.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if not torch.cuda.is_available():
        print(
            f"benchmarks/gpu.py: no NVIDIA GPU here (torch {torch.__version__}); "
            "run it on a machine that has one, with a CUDA build of PyTorch.",
            file=sys.stderr,
        )
        return 1
    measure(options, SD15, torch.device("cuda"), torch.float16)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("OUT", ".")),
        metavar="FOLDER",
        help="for gpu.json and gpu.txt (default: %(default)s)",
    )
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="begin no part after (default: %(default)s)"
    )
    parser.add_argument(
        "--parts",
        type=some_of(PARTS),
        default=list(PARTS),
        help=f"some of {','.join(PARTS)} (default: all)",
    )
    parser.add_argument(
        "--peers",
        type=some_of(PEERS),
        default=["diffusers"],
        help=f"some of {','.join(PEERS)}, where they are installed (default: diffusers)",
    )
    parser.add_argument(
        "--batches",
        type=lambda text: [int(each) for each in text.split(",")],
        default=[1, 4, 16, 32, 64],
        help="pictures at a time (default: 1,4,16,32,64)",
    )
    parser.add_argument("--steps", type=int, default=20, help="of a picture (default: %(default)s)")
    return parser.parse_args(arguments)


def some_of(known: Sequence[str] | dict[str, Any]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f'"{name}" is none of {", ".join(known)}')
        return names

    return read


def measure(
    options: argparse.Namespace, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> dict[str, Any]:
    """Run the parts that were asked for, in their order, and write each one's results."""
    started = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "gpu.txt"
    report.write_text(f"{name_of(device)}; torch {torch.__version__}\n", encoding="utf-8")
    settings = {
        "device": name_of(device),
        "cuda": torch.version.cuda,
        "dtype": str(dtype),
        "steps": options.steps,
        "batches": options.batches,
    }
    subject = Subject(config, device, dtype, options.steps, options.batches, options.peers)
    results: dict[str, Any] = {}
    for name in options.parts:
        minutes = (time.perf_counter() - started) / 60
        if minutes > options.minutes:
            results[name] = {"left out": f"no time left after {minutes:.1f} minutes"}
        else:
            results[name] = run(PARTS[name], subject)
        text = f"\n{name}\n{as_text(results[name])}\n"
        print(text, flush=True)
        with report.open("a", encoding="utf-8") as file:
            file.write(text)
        write_json(options.out / "gpu.json", "gpu", settings, results)
        if name == "agreement" and "failed" in results[name]:
            break
    return results


def run(part: Callable[[Subject], dict[str, Any]], subject: Subject) -> dict[str, Any]:
    """A part's results, or what went wrong in it: the next ones may still tell something."""
    started = time.perf_counter()
    try:
        results = part(subject)
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        results = {"failed": f"{type(error).__name__}: {error}"}
    return results | {"part took": f"{time.perf_counter() - started:.1f} s"}


def as_text(results: dict[str, Any]) -> str:
    """A line each; long texts, such as a profile, as they are."""
    short = [(key, str(value)) for key, value in results.items() if "\n" not in str(value)]
    long = [str(value) for value in results.values() if "\n" in str(value)]
    return "\n".join([table(("what", "result"), short), *long])


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


if __name__ == "__main__":
    sys.exit(main())
