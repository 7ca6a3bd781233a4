"""``gesso generate`` as a process of its own: its streams, its progress bar, and an interrupt."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("terminals and signals of POSIX", allow_module_level=True)

import fcntl
import termios

PATIENCE = 300
"""Seconds after which a process that does not do what it should is given up."""

FIRST_STEPS = re.compile(r" [1-9]\d*/1000,")


@dataclass(frozen=True)
class Watched:
    """A long drawing, interrupted on a terminal after its first steps."""

    status: int
    out: bytes
    seen: str
    files: list[str]


def read_until(terminal: int, pattern: re.Pattern[str] | None, seen: str = "") -> str:
    """What a terminal shows until the pattern is there; None waits for the end."""
    deadline = time.monotonic() + PATIENCE
    while not (pattern and pattern.search(seen)):
        assert time.monotonic() < deadline, seen
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that nobody writes any more
            part = b""
        if not part:
            assert pattern is None, seen
            break
        seen += part.decode(errors="replace")
    return seen


def heed_interrupts() -> None:
    """Undo what a shell does to its background jobs, whose children would ignore an interrupt too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def interrupted(
    program: tuple[str, ...], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Watched:
    folder = tmp_path_factory.mktemp("terminal")
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    words = ("a house", "--model", str(tiny_model), "--steps", "1000", "--device", "cpu")
    process = subprocess.Popen(
        [*program, *words], stdout=subprocess.PIPE, stderr=end, cwd=folder, preexec_fn=heed_interrupts
    )
    os.close(end)
    try:
        seen = read_until(terminal, FIRST_STEPS)
        process.send_signal(signal.SIGINT)
        seen = read_until(terminal, None, seen)
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return Watched(process.returncode, out, seen, [str(path) for path in folder.rglob("*")])


def test_a_terminal_shows_step_sigma_and_time_left(interrupted: Watched) -> None:
    bars = [line for line in re.split(r"[\r\n]+", interrupted.seen) if "/1000" in line]
    assert "tiny  " in bars[0]
    assert " 0/1000  " in bars[0]
    bar = next(line for line in bars if FIRST_STEPS.search(line))
    assert re.search(r" \d+/1000, σ \d+\.\d\d  \d\d:\d\d \(left [\d:]+\)", bar), bar


def test_an_interrupt_in_a_step_leaves_nothing_behind(interrupted: Watched) -> None:
    assert interrupted.status == 130
    assert interrupted.out == b""
    assert interrupted.seen.rstrip().endswith("gesso: interrupted")
    assert "Traceback" not in interrupted.seen
    assert interrupted.files == []


def test_a_pipe_gets_the_path_and_nothing_else(
    program: tuple[str, ...], tiny_model: Path, tmp_path: Path
) -> None:
    """To the byte, also where the name is no UTF-8; and nothing at all on stderr."""
    words = ("a house", "--model", str(tiny_model), "--steps", "1", "--output", b"caf\xe9.png")
    try:
        (tmp_path / os.fsdecode(b"\xe9")).touch()
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    done = subprocess.run([*program, *words], capture_output=True, cwd=tmp_path, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"caf\xe9.png\n", b"")
    assert (tmp_path / os.fsdecode(b"caf\xe9.png")).stat().st_size > 0
