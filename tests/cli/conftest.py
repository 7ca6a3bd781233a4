"""The program as a function of its arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gesso.cli.main import run


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended, and what it said."""

    status: int
    out: str
    err: str

    def refused(self) -> str:
        """The one line it refused with."""
        assert self.status == 1, self
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("gesso: "), line
        return line


@pytest.fixture(scope="session")
def program() -> tuple[str, ...]:
    """The words that start the program as a process of its own."""
    return (sys.executable, "-m", "gesso")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def gesso(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the program in ``here``."""

    def call(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        status = run([os.fspath(argument) for argument in arguments])
        return Ended(status, *capsys.readouterr())

    return call


@pytest.fixture
def draw(gesso: Callable[..., Ended], tiny_model: Path) -> Callable[..., Ended]:
    """Draw with the tiny model, in two steps, with whatever options."""

    def call(*options: str, prompt: str = "a red house") -> Ended:
        return gesso(prompt, "--model", tiny_model, "--device", "cpu", "--steps", "2", *options)

    return call
