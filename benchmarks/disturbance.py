"""How much of the machine other processes took while something was timed."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
IDLE, IOWAIT, STEAL = 3, 4, 7  # columns of its first line (man 5 proc_stat)


class Disturbance:
    """From its making on: the share of all cores that went to others, or was stolen by the host."""

    def __init__(self) -> None:
        self.busy, self.own, self.clock = busy_seconds(), time.process_time(), time.perf_counter()

    def share(self) -> float:
        """0 to 1; always 0 where the system does not say."""
        others = (busy_seconds() - self.busy) - (time.process_time() - self.own)
        seconds = time.perf_counter() - self.clock
        return min(max(others / (seconds * (os.cpu_count() or 1)), 0.0), 1.0)


def busy_seconds() -> float:
    """Of all cores together since the machine was started."""
    if not STAT.exists():
        return time.process_time()
    columns = [int(ticks) for ticks in STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    busy = sum(columns[: STEAL + 1]) - columns[IDLE] - columns[IOWAIT]
    return busy / os.sysconf("SC_CLK_TCK")
