"""Contenders in turns: whether they agree, and how long each takes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from worker import Call, Worker

LARGEST_ERROR = 1e-3  # relative, of one call in float32
LOWEST_PSNR = 45.0  # of pictures, in dB
MOST_DISTURBANCE = 0.05  # share of the machine that others may have had for a time to count


@dataclass
class Times:
    """How long one contender took for one part.

    Attributes:
        first: the first call, which may compile, convert or lay out weights.
        later: the calls after it.
    """

    first: Call
    later: list[Call] = field(default_factory=list)

    @property
    def counted(self) -> list[float]:
        """Seconds of the calls that were left in peace; of all, if none was."""
        calm = [call.seconds for call in self.later if call.disturbed <= MOST_DISTURBANCE]
        return calm or [call.seconds for call in self.later]

    @property
    def median(self) -> float:
        return statistics.median(self.counted)

    def __str__(self) -> str:
        return f"{self.median:.2f} s ({min(self.counted):.2f}…{max(self.counted):.2f})"

    @property
    def calls(self) -> str:
        """How many calls the figures are of."""
        calm = sum(call.disturbed <= MOST_DISTURBANCE for call in self.later)
        return f"{calm} of {len(self.later)}" if calm else f"all {len(self.later)} disturbed"

    def to_json(self) -> dict[str, Any]:
        calls = [asdict(call) for call in self.later]
        return {"first": asdict(self.first), "later": calls, "median": self.median}


@dataclass
class Standing:
    """How one contender did.

    Attributes:
        load_seconds: process start to loaded.
        times: by part.
        peak_memory: in bytes, at the end.
    """

    load_seconds: float
    times: dict[str, Times] = field(default_factory=dict)
    peak_memory: int = 0

    def to_json(self) -> dict[str, Any]:
        times = {part: times.to_json() for part, times in self.times.items()}
        return {"load_seconds": self.load_seconds, "peak_memory": self.peak_memory, "seconds": times}


def compete(
    specifications: Mapping[str, str],
    folder: Path,
    size: int,
    parts: Sequence[str],
    runs: int,
    picture_steps: int = 20,
) -> dict[str, Standing]:
    """Run each part with every contender in turns, one computing at a time.

    Args:
        specifications: name -> what `contenders.load` takes.
        parts: of "step", "decode", "picture".
        runs: timed calls of each, after a first one.

    Raises:
        SystemExit: a contender's result is not that of the first one named, so its time says nothing.
    """
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(specification, folder, size))
            for name, specification in specifications.items()
        }
        standings = {name: Standing(worker.load_seconds) for name, worker in workers.items()}
        for part in parts:
            for run in range(runs + 1):
                results: dict[str, np.ndarray] = {}
                for name, worker in workers.items():
                    # a picture's first call only readies what the others have not
                    steps = {"steps": 1 if run == 0 else picture_steps} if part == "picture" else {}
                    call, results[name] = worker.call(part, **steps)
                    if run == 0:
                        standings[name].times[part] = Times(call)
                    else:
                        standings[name].times[part].later.append(call)
                check_agreement(part, results)
        for name, worker in workers.items():
            standings[name].peak_memory = worker.peak_memory()
    return standings


def check_agreement(part: str, results: Mapping[str, np.ndarray]) -> None:
    """Refuse results that are not the first one's up to rounding."""
    (reference_name, reference), *others = results.items()
    for name, result in others:
        if part == "picture":
            found = psnr(reference, result)
            agrees, words = found >= LOWEST_PSNR, f"the PSNR is {found:.1f} dB"
        else:
            error = relative_error(reference, result)
            agrees, words = error <= LARGEST_ERROR, f"the relative error is {error:.1e}"
        if not agrees:
            raise SystemExit(
                f"{name} and {reference_name} differ in {part}: {words}. No ratio is worth printing."
            )


def relative_error(expected: np.ndarray, found: np.ndarray) -> float:
    """The norm of the difference by that of what was expected; NaN counts as infinite."""
    if expected.shape != found.shape:
        return float("inf")
    error = np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(
        expected.astype(np.float64)
    )
    return float(error) if np.isfinite(error) else float("inf")


def psnr(expected: np.ndarray, found: np.ndarray) -> float:
    """In dB, of 8-bit pixels; 0 if the sizes differ."""
    if expected.shape != found.shape:
        return 0.0
    square = np.mean((expected.astype(np.float64) - found.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(square, 1e-9)))
