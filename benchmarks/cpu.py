"""gesso against its peers on this machine's CPU: a step, a decode, a whole picture of SD 1.5's size.

    python benchmarks/cpu.py                                   # a step and a decode beside Diffusers
    python benchmarks/cpu.py --parts picture --runs 1
    python benchmarks/cpu.py --peers diffusers,openvino,compile,plain --json results.json
    python benchmarks/cpu.py --ablate all --parts step         # what each optimisation is worth

All contenders load the same random weights, each in a process of its own, and compute in turns, so that a
machine that slows down slows all of them. Calls during which other processes had more than 5 % of the
machine do not count (on Linux). No ratio is printed before the results are found to agree.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import machine
from contest import Standing, compete
from report import print_table, write_json
from sd15_weights import add_weights_option, ensure

PARTS = ("step", "decode", "picture")
PEERS = {"diffusers": "diffusers", "compile": "compile", "openvino": "openvino", "plain": "gesso:plain"}
TARGETS = {
    ("step", "diffusers"): 0.55,
    ("step", "openvino"): 0.70,
    ("step", "compile"): 0.70,
    ("decode", "diffusers"): 0.40,
    ("picture", "diffusers"): 0.54,
}
"""gesso's time by the peer's, at most."""


def main() -> None:
    options = parse()
    folder = ensure(options.weights)
    print(machine.headline(), flush=True)
    groups = ablations(options.ablate) if options.ablate else [beside(options.peers)]
    records = []
    for group in groups:
        standings = compete(group, folder, options.size, options.parts, options.runs, options.steps)
        print_table(
            (
                "part",
                "contender",
                "median (min…max)",
                "calls",
                "gesso takes",
                "target",
                "loaded",
                "first call",
            ),
            [row for part in options.parts for row in rows(part, standings)],
        )
        records.append({name: standing.to_json() for name, standing in standings.items()})
    settings = {"size": options.size, "runs": options.runs, "picture_steps": options.steps}
    write_json(options.json, "cpu", settings, records)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", type=one_of(PEERS), default=["diffusers"], help=f"of {', '.join(PEERS)}")
    parser.add_argument(
        "--parts", type=one_of(PARTS), default=["step", "decode"], help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument("--runs", type=int, default=3, help="timed calls of each (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=512, help="of the picture, pixels (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=20, help="of a whole picture (default: %(default)s)")
    parser.add_argument(
        "--ablate",
        type=lambda text: text.split(","),
        metavar="all|NAME,…",
        help="instead of peers, gesso with one optimisation left out, for all or for those named",
    )
    add_weights_option(parser)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def one_of(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """A reader of comma-separated names."""

    def read(text: str) -> list[str]:
        names = text.split(",") if text else []
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
        return names

    return read


def beside(peers: Iterable[str]) -> dict[str, str]:
    """gesso and its peers; the first one is what the others must agree with."""
    specifications = {peer: PEERS[peer] for peer in peers}
    reference = {"diffusers": specifications["diffusers"]} if "diffusers" in specifications else {}
    return {**reference, "gesso": "gesso", **specifications}


def ablations(left_out: list[str]) -> list[dict[str, str]]:
    """The whole engine beside one with an optimisation left out; in pairs, so that they fit into memory."""
    import torch

    from gesso.engine.engine import available

    names = available(torch.device("cpu"), torch.float32)
    wanted = names if left_out == ["all"] else left_out
    if unknown := set(wanted) - set(names):
        raise SystemExit(
            f"no such optimisation: {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    return [
        {
            "gesso": "gesso",
            f"without {name}": f"gesso:{','.join(other for other in names if other != name)}",
        }
        for name in wanted
    ]


def rows(part: str, standings: Mapping[str, Standing]) -> list[tuple[str, ...]]:
    """One line a contender: its times, and gesso's share of them."""
    gesso = standings["gesso"].times[part].median
    lines: list[tuple[str, ...]] = []
    for name, standing in standings.items():
        times = standing.times[part]
        target = TARGETS.get((part, name))
        lines.append(
            (
                part,
                name,
                str(times),
                times.calls,
                "" if name == "gesso" else f"{gesso / times.median:.2f} of it",
                "" if target is None else f"≤ {target:.2f}",
                f"{standing.load_seconds:.1f} s",
                f"{times.first.seconds:.1f} s",
            )
        )
    return lines


if __name__ == "__main__":
    main()
