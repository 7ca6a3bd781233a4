"""The program as a whole: it starts quickly, finds the command, and ends with the right status."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gesso import __version__
from gesso.cli import main
from gesso.cli.generate import generate
from gesso.cli.main import COMMANDS
from gesso.errors import RequestError

Run = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Filled with the options of each ``gesso generate``, which draws nothing."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(generate, "callback", lambda **options: calls.append(options))
    return calls


def raise_from_generate(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def callback(**_: object) -> None:
        raise error

    monkeypatch.setattr(generate, "callback", callback)


# Starting


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the time of a child cannot be had")
def test_help_is_there_at_once(program: tuple[str, ...]) -> None:
    """In 0.4 s of the processor's time, on the best of three tries: the machine may be busy."""
    times = []
    for _ in range(3):
        process = subprocess.Popen([*program, "--help"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert b"gesso generate --help" in process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        assert status == 0
        times.append(usage.ru_utime + usage.ru_stime)
        if times[-1] <= 0.4:
            break
    assert min(times) <= 0.4


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from gesso.cli.main import run\n"
        "for words in ('--help', 'generate --help', 'samplers', 'x --steps 0', 'x --seed -1'):\n"
        "    run(words.split())\n"
        "print('imported', *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.rpartition("imported")[2].split()
    assert not {"torch", "numpy", "safetensors", "tokenizers", "huggingface_hub"} & set(imported)
    assert "gesso.cli.generate" in imported


def test_the_built_in_model_draws_without_what_other_models_need(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from gesso.cli.main import run\n"
        f"assert run(['a red house', '--steps', '1', '--output', {str(tmp_path)!r}]) == 0\n"
        "print('imported', *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.rpartition("imported")[2].split()
    heavy = {
        "numba",
        "llvmlite",
        "huggingface_hub",
        "requests",
        "httpx",
        "torch._inductor",
        "scipy",
        "diffusers",
    }
    assert not heavy & set(imported)
    assert "gesso.models.unet" in imported


# Finding the command


def test_without_arguments_it_explains_itself(gesso: Run) -> None:
    ended = gesso()
    assert ended.status == 0
    assert ended.out.startswith("Usage: gesso")
    for command in COMMANDS:
        assert f"\n  {command} " in ended.out
    assert gesso("-h") == gesso("--help") == ended


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(gesso: Run, command: str) -> None:
    ended = gesso(command, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"Usage: gesso {command}" in ended.out


def test_version(gesso: Run) -> None:
    assert gesso("--version").out == f"gesso {__version__}\n"


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (["a red house"], "a red house"),
        (["generate", "a red house"], "a red house"),
        (["a red house", "--debug"], "a red house"),
        (["--debug", "a red house"], "a red house"),
        (["generate", "a red house", "--debug"], "a red house"),
        ([""], ""),
        (["house"], "house"),
        (["generate", "models"], "models"),
        (["--", "models"], "models"),
        (["--", "--debug"], "--debug"),
        (["--steps", "5", "a red house"], "a red house"),
        (["--from", "house.png"], None),
    ],
    ids=str,
)
def test_first_word_is_a_command_or_a_prompt(
    gesso: Run, asked: list[dict[str, Any]], words: list[str], prompt: str | None
) -> None:
    assert gesso(*words).status == 0
    assert [options["prompt"] for options in asked] == [prompt]


# Ending


@pytest.mark.parametrize(
    "words",
    [
        ["--no-such-option"],
        ["generate", "--no-such-option"],
        ["a", "second prompt"],
        ["a", "--steps", "many"],
        ["a", "--steps"],
        ["a", "--seed", "9" * 5000],
        ["generate"],
        ["convert", "only-one"],
        ["convert", "a", "b", "--dtype", "int8"],
        ["train"],
        ["train", "storybook", "--denoiser-steps", "0"],
    ],
    ids=lambda words: " ".join(words)[:30],
)
def test_wrong_usage_is_2(gesso: Run, here: Path, words: list[str]) -> None:
    ended = gesso(*words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(("Usage: gesso", "Error: Option '--steps' requires an argument"))
    assert list(here.iterdir()) == []


def test_an_error_is_1_and_one_line(gesso: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_from_generate(monkeypatch, RequestError("7 is odd", "Use 8.", where="width"))
    assert gesso("x").refused() == "gesso: width: 7 is odd. Use 8."


def test_a_line_stays_one_whatever_it_quotes(gesso: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_from_generate(monkeypatch, RequestError("no\n\x1b[2J\u2028\udcff ☂ é", where="a\rb"))
    assert gesso("x").refused() == r"gesso: a\rb: no\n\x1b[2J\u2028\udcff ☂ é."


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "gesso: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "gesso: runs: Permission denied"),
        (OSError("odd"), "gesso: odd"),
    ],
)
def test_what_the_system_refuses_is_1(
    gesso: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, line: str
) -> None:
    raise_from_generate(monkeypatch, error)
    assert gesso("x").refused() == line


def test_an_interrupt_is_130(gesso: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_from_generate(monkeypatch, KeyboardInterrupt())
    ended = gesso("x")
    assert (ended.status, ended.out, ended.err.strip()) == (130, "", "gesso: interrupted")


@pytest.mark.parametrize(
    "words", [["x", "--debug"], ["--debug", "x"], ["generate", "--debug", "x"]], ids=str
)
@pytest.mark.parametrize("error", [RequestError("odd"), OSError("full")], ids=repr)
def test_debug_lets_errors_through(
    gesso: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, words: list[str]
) -> None:
    raise_from_generate(monkeypatch, error)
    with pytest.raises(type(error)):
        gesso(*words)


def test_debug_shows_the_traceback(program: tuple[str, ...]) -> None:
    done = subprocess.run([*program, "x", "--width", "7", "--debug"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last)")
    assert done.stderr.endswith("width: 7 is not a positive multiple of 8. Use 8.\n")


def test_a_bug_is_not_hidden(gesso: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_from_generate(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        gesso("x")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_has_gone_is_no_error_to_speak_of(program: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*program, "samplers"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_stdout_is_told(program: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*program, "samplers"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "gesso: No space left on device\n")


def test_main_leaves_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    for status in (0, 1, 2, 130):
        monkeypatch.setattr(main, "run", lambda _, status=status: status)
        with pytest.raises(SystemExit) as left:
            main.main([])
        assert left.value.code == status
