"""The most memory that drawing a picture of SD 1.5's size takes: gesso beside Diffusers.

    python benchmarks/memory.py [--size 512] [--steps 2] [--json memory.json]

Each draws in a process of its own, one after the other; two steps take as much memory as twenty. Counted is
all that is in memory at a time, the mapped weights too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import machine
from contest import check_agreement
from report import print_table, write_json
from sd15_weights import add_weights_option, ensure
from worker import Worker

CONTENDERS = {"diffusers": "diffusers", "gesso": "gesso", "plain": "gesso:plain"}
TARGETS = {"gesso": 1.0}
"""Of Diffusers' memory, at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--size", type=int, default=512, help="of the picture, pixels (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=2, help="default: %(default)s")
    add_weights_option(parser)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    folder = ensure(options.weights)
    print(machine.headline(), flush=True)
    peaks: dict[str, int] = {}
    pictures = {}
    for name, specification in CONTENDERS.items():
        with Worker(specification, folder, options.size) as worker:
            _, pictures[name] = worker.call("picture", steps=options.steps)
            peaks[name] = worker.peak_memory()
    check_agreement("picture", pictures)
    print_table(
        ("contender", "most memory", "of Diffusers'", "target"), [row(name, peaks) for name in peaks]
    )
    write_json(options.json, "memory", {"size": options.size, "steps": options.steps}, peaks)


def row(name: str, peaks: dict[str, int]) -> tuple[str, ...]:
    share = "" if name == "diffusers" else f"{peaks[name] / peaks['diffusers']:.2f}"
    target = f"≤ {TARGETS[name]:.2f}" if name in TARGETS else ""
    return name, f"{peaks[name] / 2**30:.2f} GiB", share, target


if __name__ == "__main__":
    main()
