"""What ``gesso generate`` refuses: one line that names the field or the file, and nothing written."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gesso.pipeline.metadata import read_request

PROMPT = "a red house"
Run = Callable[..., Any]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


NO_SIZE = "is not a positive multiple of 8"
BAD_FIELDS = [
    *((["--width", str(size)], f"width: {size} {NO_SIZE}") for size in (0, 7, 513, -8)),
    *((["--height", str(size)], f"height: {size} {NO_SIZE}") for size in (0, 7, 513)),
    (["--width", "8200"], "width: 8200 is outside 8…8192"),
    *((["--steps", str(steps)], f"steps: {steps} is outside 1…1000") for steps in (0, -1, 1001)),
    (["--guidance-scale", "nan"], "guidance_scale: nan is outside 0…100"),
    (["--guidance-scale", "-inf"], "guidance_scale: -inf is outside 0…100"),
    (["--seed", "-1"], "seed: -1 is outside 0…18446744073709551615"),
    (["--seed", str(2**64)], "seed: 18446744073709551616 is outside 0…18446744073709551615"),
    (["--seed", str(2**64 - 1), "--count", "2"], "seed: 18446744073709551615 with count 2"),
    (["--count", "0"], "count: 0 is outside"),
    (["--batch-size", "0"], "batch_size: 0 is outside"),
    (["--clip-skip", "0"], "clip_skip: 0 is outside"),
    (["--sampler", "eulr"], 'sampler: no sampler is called "eulr". Did you mean "euler"?'),
    (["--sampler", ""], 'sampler: no sampler is called ""'),
    (["--schedule", "caras"], 'schedule: no schedule is called "caras". Did you mean "karras"?'),
    (["--eta", "0.5", "--sampler", "ddpm"], "eta: the sampler ddpm takes no eta"),
    (["--eta", "nan", "--sampler", "ddim"], "eta: nan is outside 0…1"),
    (["--output", ""], "'' is not a file name"),
    (["--output", "house.jpg"], "house.jpg: gesso writes PNG files, not .jpg"),
    (["--output", "{prompt}.png"], "{prompt}.png: {prompt} is not a field"),
    (["--output", "a.png", "--count", "2"], "a.png: 2 pictures cannot share one name"),
    (["--output", f"{'x' * 300}.png"], "cannot be written (File name too long)"),
]


@pytest.mark.parametrize(
    ("options", "message"),
    BAD_FIELDS,
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_fields_that_cannot_be_drawn(gesso: Run, here: Path, options: list[str], message: str) -> None:
    line = gesso(PROMPT, "--model", "no-such-model", *options).refused()
    assert message in line
    assert files(here) == []


@pytest.mark.parametrize("option", [None, "--negative-prompt"])
@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("x" * 10_000_000, "10,000,000 bytes of text are more than a prompt can have (32,768)"),
        ("a \ud83d cat", "character 3 is U+D83D, half of a surrogate pair"),
    ],
    ids=["10 MB", "surrogate"],
)
def test_prompts_that_cannot_be_read(
    gesso: Run, here: Path, option: str | None, prompt: str, message: str
) -> None:
    words = [prompt] if option is None else ["x", option, prompt]
    field = "prompt" if option is None else "negative_prompt"
    line = gesso(*words, "--model", "no-such-model").refused()
    assert line.startswith(f"gesso: {field}: {message}")
    assert len(line) < 250
    assert files(here) == []


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes on POSIX only")
def test_arguments_that_are_no_text(program: tuple[str, ...], here: Path) -> None:
    done = subprocess.run([*program, b"caf\xe9"], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"gesso: prompt: character 4 is U+DCE9, half of a surrogate pair")
    assert done.stderr.count(b"\n") == 1
    assert files(here) == []


@pytest.mark.parametrize(
    "prompt", ["", "🏠🌲 🧑‍🚀", "\n", "x" * 32_768], ids=["empty", "emoji", "newline", "32 KB"]
)
def test_prompts_that_draw(draw: Run, prompt: str) -> None:
    assert (
        draw("--output", "a.png", "--steps", "1", "--width", "8", "--height", "8", prompt=prompt).status
        == 0
    )
    assert read_request(Path("a.png")).fields["prompt"] == prompt


def test_devices_and_precisions_that_are_not_there(draw: Run, here: Path) -> None:
    assert draw("--device", "tpu").refused().startswith('gesso: device: no device is called "tpu"')
    assert draw("--dtype", "int4").refused().startswith('gesso: dtype: no precision is called "int4"')
    assert draw("--clip-skip", "3").refused().startswith("gesso: clip_skip: 3 is outside 1…2")
    assert files(here) == []


# Files


def test_a_file_is_never_overwritten(draw: Run, gesso: Run) -> None:
    Path("7.png").write_bytes(b"mine")
    line = gesso(PROMPT, "--model", "no-such-model", "--seed", "7", "--output", "{seed}.png").refused()
    assert line == "gesso: 7.png: it exists already. Choose another name, or a folder."
    assert draw("--seed", "6", "--count", "2", "--output", "{seed}.png").refused() == line
    assert Path("7.png").read_bytes() == b"mine"
    assert not Path("6.png").exists()


def test_a_file_that_appears_while_drawing_is_kept(
    draw: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gesso.pipeline.pipeline import Pipeline

    decode = Pipeline.decode

    def slow_decode(self: Pipeline, latents: Any, **options: Any) -> Any:
        Path("a.png").write_bytes(b"another's")
        return decode(self, latents, **options)

    monkeypatch.setattr(Pipeline, "decode", slow_decode)
    assert draw("--output", "a.png").refused().startswith("gesso: a.png: it exists already")
    assert Path("a.png").read_bytes() == b"another's"
    assert files(here) == ["a.png"]


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_full_disk(draw: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    line = draw("--seed", "7").refused()
    assert line == (
        "gesso: outputs/00001-7.png: cannot be written (No space left on device). Free some space."
    )
    assert files(here) == []


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """A disk of 8 KB, on machines where one can be had."""
    disk = here / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up(draw: Run, small_disk: Path) -> None:
    ended = draw("--count", "3", "--steps", "1", "--seed", "1", "--output", "disk/{index}.png")
    assert ended.status == 1
    kept = ended.out.split()
    assert len(kept) < 3, "it is not small"
    assert ended.err == (
        f"gesso: disk/{len(kept)}.png: cannot be written (No space left on device). Free some space.\n"
    )
    assert [f"disk/{name}" for name in files(small_disk)] == kept
    for path in kept:
        with Image.open(path) as picture:
            picture.load()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
@pytest.mark.parametrize("output", ["/proc/a.png", "/proc/pictures/", "/proc/{seed}/{index}.png"])
def test_a_folder_that_cannot_be_written(gesso: Run, output: str) -> None:
    line = gesso(PROMPT, "--model", "no-such-model", "--output", output).refused()
    assert line.startswith("gesso: /proc")
    assert "cannot be written" in line


def test_a_file_is_no_folder(gesso: Run, here: Path) -> None:
    Path("plain").write_text("mine")
    line = gesso(PROMPT, "--model", "no-such-model", "--output", "plain/a.png").refused()
    assert line.startswith("gesso: plain: cannot be written (Not a directory)")
    assert files(here) == ["plain"]


# Interrupts


def test_an_interrupt_in_the_second_picture_keeps_the_first(
    draw: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gesso.engine.shared_prefix import SharedPrefixUNet as UNet

    calls = 0
    forward = UNet.forward

    def interrupted(self: UNet, *inputs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:  # in the second of two steps
            raise KeyboardInterrupt
        return forward(self, *inputs)

    monkeypatch.setattr(UNet, "forward", interrupted)
    ended = draw("--seed", "1", "--count", "2", "--sampler", "euler", "--output", "{seed}.png")
    assert (ended.status, ended.out) == (130, "1.png\n")
    assert ended.err.strip() == "gesso: interrupted"
    assert files(here) == ["1.png"]


@pytest.mark.parametrize("moment", ["fsync", "link"])
def test_an_interrupt_while_writing(
    draw: Run, here: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(os, moment, failing(KeyboardInterrupt()))
    assert draw("--steps", "1", "--output", "a.png").status == 130
    assert files(here) == []


def test_a_picture_that_is_no_number(draw: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gesso.engine.shared_prefix import SharedPrefixUNet as UNet

    forward = UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda *inputs: forward(*inputs) * float("nan"))
    assert draw("--seed", "1").refused().startswith("gesso: tiny: the latents are NaN or infinite")
    assert files(here) == []
