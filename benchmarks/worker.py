"""A contender in a process of its own, which computes when it is told to and sleeps otherwise.

gesso's engine changes how its process keeps memory, and Diffusers and OpenVINO bring thread pools; in one
process they would help or hinder each other. The parent talks to a worker in lines of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

QUIET = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
"""Environment that keeps libraries from talking between the tables."""


@dataclass(frozen=True)
class Call:
    """One timed call.

    Attributes:
        seconds: on the clock.
        disturbed: share of the machine that other processes took meanwhile, 0…1.
    """

    seconds: float
    disturbed: float


class Worker:
    """The parent's end.

    Args:
        specification: of the contender, see `contenders`.
        folder: the model.
        size: side of the pictures in pixels.

    Attributes:
        load_seconds: from the start of the process until the contender was loaded.
    """

    def __init__(self, specification: str, folder: Path, size: int) -> None:
        self.specification = specification
        self.results = TemporaryDirectory(prefix="gesso-benchmark-")
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, __file__, specification, str(folder), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | QUIET,
        )
        self.read()
        self.load_seconds = time.perf_counter() - started

    def call(self, part: str, **arguments: int) -> tuple[Call, np.ndarray]:
        """The time that a call of the contender took, and its result."""
        path = Path(self.results.name) / "result.npy"
        answer = self.ask(part=part, arguments=arguments, path=str(path))
        return Call(answer["seconds"], answer["disturbed"]), np.load(path)

    def peak_memory(self) -> int:
        """The most bytes of memory the process has had so far, mapped files included."""
        return self.ask(part="peak")["bytes"]

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise SystemExit(f"{self.specification} has ended early") from None
        return self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.specification} ended with status {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Let the process end; nothing happens the second time."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.communicate()
        self.results.cleanup()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(specification: str, folder: Path, size: int) -> None:
    """The child's end: load, then answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between
    import contenders
    import torch
    from disturbance import Disturbance

    from gesso.engine.measure import peak_memory

    contender = contenders.load(specification, folder, size)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if question["part"] == "peak":
            answer = {"bytes": peak_memory()}
        else:
            with torch.no_grad():
                others, started = Disturbance(), time.perf_counter()
                result = getattr(contender, question["part"])(**question["arguments"])
                answer = {"seconds": time.perf_counter() - started, "disturbed": others.share()}
            np.save(question["path"], result)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
