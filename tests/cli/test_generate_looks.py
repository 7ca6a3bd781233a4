"""``gesso generate``: heatmaps, previews and films, and what becomes of the terminal."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gesso.errors import OutputError
from gesso.models.tiny_decoder import TinyDecoder
from gesso.pipeline.film import FRAME_MS, LAST_MS, MOST_FRAMES, chosen_steps, film
from gesso.pipeline.pipeline import Pipeline

Run = Callable[..., Any]


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def frames(path: Path | str) -> tuple[list[np.ndarray], list[int]]:
    """The frames of an animation and how long each is shown."""
    with Image.open(path) as picture:
        shown = [
            (np.asarray(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(picture)
        ]
    return [pixels for pixels, _ in shown], [time for _, time in shown]


@pytest.fixture
def tiny_decoder(tmp_path: Path) -> Path:
    path = tmp_path / "taesd_decoder.pth"
    names = TinyDecoder().state_dict().items()
    torch.save({f"{int(k.split('.')[1]) + 1}.{k.split('.', 2)[2]}": v for k, v in names}, path)
    return path


# Heatmaps


def test_heatmaps_are_written_beside_the_picture(draw: Run) -> None:
    draw("--seed", "7", "--output", "plain.png")
    ended = draw("--seed", "7", "--heatmaps", "--output", "house.png")
    assert ended.out == "house.png\nhouse.heatmaps.png\nhouse.heatmaps.npz\n"
    np.testing.assert_array_equal(pixels("house.png"), pixels("plain.png"))
    assert pixels("house.heatmaps.png").shape[1] > 3 * 192
    with np.load("house.heatmaps.npz") as file:
        assert file["words"].tolist() == ["a", "red", "house"]
        assert file["maps"].shape == (3, 8, 8)


def test_each_picture_has_its_own(draw: Run) -> None:
    ended = draw("--seed", "7", "--heatmaps", "--count", "3", "--batch-size", "2", "--json")
    (report,) = map(json.loads, ended.out.splitlines())
    maps = []
    for picture in report["pictures"]:
        assert picture["heatmaps"] == picture["path"].replace(".png", ".heatmaps.png")
        with np.load(picture["heatmap_arrays"]) as file:
            maps.append(file["maps"])
    assert not np.allclose(maps[0], maps[1])
    assert not np.allclose(maps[1], maps[2])


def test_nothing_is_written_over(draw: Run, here: Path) -> None:
    (here / "house.heatmaps.npz").write_text("mine")
    ended = draw("--heatmaps", "--output", "house.png")
    assert "house.heatmaps.npz: it exists already" in ended.refused()
    assert [path.name for path in here.iterdir()] == ["house.heatmaps.npz"]


# Films


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_a_film_shows_each_step_and_ends_with_the_picture(draw: Run, suffix: str) -> None:
    ended = draw("--steps", "4", "--seed", "7", "--steps-gif", f"film{suffix}", "--output", "house.png")
    assert ended.out == f"house.png\nfilm{suffix}\n"
    shown, times = frames(f"film{suffix}")
    assert times[-1] >= LAST_MS
    assert sum(times) == 4 * FRAME_MS + LAST_MS
    assert np.abs(shown[-1].astype(int) - pixels("house.png")).mean() < 12  # palette, or lossy
    first = np.abs(shown[0].astype(int) - shown[-1]).mean()
    assert first > 1


def test_films_of_several_pictures(draw: Run) -> None:
    names = ("--steps-gif", "films/{seed}-{index:02}.gif", "--output", "{index}.png")
    assert draw("--seed", "7", "--count", "2", *names).out.split() == [
        *("0.png", "films/7-00.gif"),
        *("1.png", "films/8-01.gif"),
    ]


def test_a_film_by_a_tiny_decoder(draw: Run, tiny_decoder: Path) -> None:
    draw("--seed", "7", "--steps-gif", "own.gif", "--output", "a.png")
    draw(
        *("--seed", "7", "--steps-gif", "tiny.gif", "--output", "b.png"),
        *("--preview-decoder", str(tiny_decoder)),
    )
    own, tiny = frames("own.gif")[0], frames("tiny.gif")[0]
    np.testing.assert_array_equal(own[-1], tiny[-1])  # the finished picture
    assert not np.array_equal(own[0], tiny[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps-gif", "film.avi"], "film.avi: it is no film's name. Name a .webp, .gif or .mp4 file."),
        (["--steps-gif", "films/"], "films/: it is no film's name"),
        (["--steps-gif", "{x}.gif"], "{x}.gif: {x} is not a field"),
        (["--steps-gif", "film.gif", "--count", "2"], "Number them: film-{index}.gif"),
        (["--preview", "x/", "--preview-decoder", "none.pth"], "none.pth: "),
    ],
)
def test_refusals(draw: Run, here: Path, options: list[str], message: str) -> None:
    assert message in draw(*options).refused()
    assert not list(here.rglob("*.png"))


def test_a_film_is_not_written_over(draw: Run, here: Path) -> None:
    (here / "film.gif").write_text("mine")
    assert "film.gif: it exists already" in draw("--steps-gif", "film.gif").refused()


def test_mp4_needs_a_library(draw: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gesso.pipeline.film.find_spec", lambda _: None)
    assert draw("--steps-gif", "film.mp4").refused() == (
        "gesso: film.mp4: MP4 films need the library PyAV. "
        'Install it: pip install "gesso[film]". Or name a .webp or .gif file.'
    )


def test_mp4() -> None:
    av = pytest.importorskip("av")
    pictures = [Image.new("RGB", (65, 48), colour) for colour in ("red", "green", "blue")]
    with av.open(io.BytesIO(film(pictures, ".mp4"))) as container:
        decoded = [frame.to_image() for frame in container.decode(video=0)]
    assert len(decoded) == 2 + LAST_MS // FRAME_MS
    assert decoded[0].size == (64, 48)
    assert np.abs(np.asarray(decoded[-1]).astype(int) - (0, 0, 255)).mean() < 8


@pytest.mark.parametrize("steps", [1, 2, 98, 99, 100, 250, 1000])
def test_steps_of_a_film(steps: int) -> None:
    chosen = chosen_steps(steps)
    assert len(chosen) == min(steps, MOST_FRAMES - 1)
    assert chosen == sorted(set(chosen))
    assert chosen[-1] == steps - 1


def test_frames_of_a_first_pass_grow(draw: Run) -> None:
    draw("--seed", "7", "--hires-scale", "2", "--steps-gif", "film.gif", "--output", "house.png")
    assert {frame.shape for frame in frames("film.gif")[0]} == {(128, 128, 3)}


@pytest.mark.parametrize("tiny", [False, True])
def test_part_of_a_picture(draw: Run, tiny_decoder: Path, tiny: bool) -> None:
    """What is drawn is put into the picture in each frame; outside, nothing moves."""
    Image.new("RGB", (160, 96), "red").save("red.png")
    mask = Image.new("L", (160, 96))
    mask.paste(255, (96, 32, 128, 64))
    mask.save("mask.png")
    draw(
        *("--image", "red.png", "--mask", "mask.png", "--only-masked", "--mask-padding", "8"),
        *("--width", "64", "--height", "64", "--seed", "7", "--output", "new.png"),
        *("--heatmaps", "--steps-gif", "film.gif"),
        *(("--preview-decoder", str(tiny_decoder)) if tiny else ()),
    )
    shown, _ = frames("film.gif")
    assert {frame.shape for frame in shown} == {(96, 160, 3)}
    assert all((np.abs(frame[:, :90].astype(int) - (255, 0, 0)) < 4).all() for frame in shown)
    assert pixels("new.heatmaps.png").shape[1] == 3 * (192 + 8) + 8


def test_films_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, draw: Run, here: Path) -> None:
    def broken(*_: object) -> bytes:
        raise OutputError("no room", where="film.gif")

    monkeypatch.setattr("gesso.pipeline.film.film", broken)
    assert draw("--steps-gif", "film.gif", "--output", "a.png").status == 1
    assert [path.name for path in here.iterdir()] == ["a.png"]


# Previews


def test_without_a_terminal_there_is_one_line_about_it(draw: Run) -> None:
    ended = draw("--preview", "--seed", "7", "--count", "2")
    assert ended.out == "outputs/00001-7.png\noutputs/00002-8.png\n"
    (line,) = ended.err.splitlines()
    assert "no terminal" in line
    assert "--preview steps/" in line


def test_the_prompt_is_no_folder(gesso: Run) -> None:
    ended = gesso("generate", "--preview", "a red house")
    assert ended.status == 2
    assert "'a red house'" in ended.err
    assert "Write the prompt before it" in ended.err


def test_steps_in_a_folder(draw: Run, here: Path) -> None:
    for _ in range(2):
        ended = draw("--preview", "steps/", "--seed", "7", "--count", "2", "--width", "96")
        assert ended.err == ""
    names = sorted(path.name for path in (here / "steps").iterdir())
    assert names == [
        f"{picture:05}-{seed}-step-{step:04}.png"
        for picture, seed in ((1, 7), (2, 8), (3, 7), (4, 8))
        for step in (1, 2)
    ]
    assert pixels("steps/00001-7-step-0001.png").shape == (8, 12, 3)


def test_steps_with_detail(draw: Run, tiny_decoder: Path) -> None:
    draw("--preview", "steps/", "--seed", "7", "--preview-decoder", str(tiny_decoder))
    assert pixels("steps/00001-7-step-0002.png").shape == (64, 64, 3)


if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)


class Screen:
    """As much of a terminal as the program makes use of."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = [[]]
        self.row = self.column = 0
        self.saved = (0, 0)

    def feed(self, text: str) -> None:
        for escape, letters in re.findall(r"(\x1b\[[\d;?]*[A-Za-z]|\x1b[78]|[\r\n])|([^\x1b\r\n]+)", text):
            if letters:
                self.put(letters)
            elif escape == "\r":
                self.column = 0
            elif escape == "\n":
                self.move(self.row + 1)
            elif escape == "\x1b7":
                self.saved = self.row, self.column
            elif escape == "\x1b8":
                self.row, self.column = self.saved
            elif escape[-1] in "AB":
                by = int(escape[2:-1] or 1)
                self.move(self.row + (by if escape[-1] == "B" else -by))
            elif escape == "\x1b[J":
                del self.lines[self.row][self.column :]
                del self.lines[self.row + 1 :]
            else:
                assert escape[-1] in "mc", escape  # colours, and a question

    def move(self, row: int) -> None:
        assert row >= 0
        self.lines += [[] for _ in range(row + 1 - len(self.lines))]
        self.row = row

    def put(self, letters: str) -> None:
        line = self.lines[self.row]
        line += " " * (self.column - len(line))
        line[self.column : self.column + len(letters)] = letters
        self.column += len(letters)

    def shown(self) -> list[str]:
        lines = ["".join(line).rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines


class Seen:
    """A terminal of 80×30, and what it was sent until it is let go."""

    def __init__(self) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 30, 80, 0, 0))
        self.received = bytearray()
        self.reader = threading.Thread(target=self.drain, daemon=True)
        self.reader.start()
        self.stream = os.fdopen(theirs, "w", encoding="utf-8")

    def drain(self) -> None:
        while True:
            try:
                self.received.extend(os.read(self.ours, 65536))
            except OSError:  # nobody writes any more
                return

    def sent(self) -> str:
        self.stream.close()
        self.reader.join(10)
        os.close(self.ours)
        return self.received.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], str]:
    """Runs something with stderr on a terminal of 24-bit colours and no graphics; what that was sent."""
    monkeypatch.setattr("gesso.cli.terminal.query.draws_sixels", lambda: False)
    for name in ("TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")

    def watch(run: Callable[[], Any]) -> str:
        seen = Seen()
        with (
            monkeypatch.context() as patch
        ):  # not before: pytest sets stderr again for each phase of a test
            patch.setattr(sys, "stderr", seen.stream)
            run()
        return seen.sent()

    return watch


Watch = Callable[[Callable[[], Any]], str]


def test_the_finished_picture_stays(draw: Run, terminal: Watch) -> None:
    sent = terminal(lambda: draw("--preview", "--seed", "7", "--output", "house.png"))
    screen = Screen()
    screen.feed(sent)
    assert screen.shown() == ["▀" * 48] * 24
    assert screen.row == 24  # where the shell goes on
    last = re.findall(r"\x1b7(.*?)\x1b8", sent, re.DOTALL)[-1]
    corner = re.match(r"\x1b\[38;2;(\d+);(\d+);(\d+)", last)
    assert corner is not None
    expected = pixels("house.png")[:2, :2].reshape(-1, 3).mean(0)
    assert np.abs(np.array(corner.groups()).astype(int) - expected).max() < 12


def test_an_interrupt_leaves_the_terminal_clean(
    draw: Run, terminal: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Pipeline.stream

    def interrupted(*given: Any, **options: Any) -> Iterator[Any]:
        for step in stream(*given, **options):
            yield step
            raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "stream", interrupted)
    sent = terminal(lambda: draw("--preview", "--seed", "7"))
    assert "▀" in sent
    screen = Screen()
    screen.feed(sent)
    assert screen.shown() == ["", "gesso: interrupted"]  # Click ends the line that says ^C


@pytest.mark.parametrize("way", ["sixel", "kitty", "iterm2"])
def test_graphics_come_between_the_same_moves(draw: Run, terminal: Watch, way: str) -> None:
    sent = terminal(lambda: draw(f"--preview={way}", "--seed", "7", "--output", "house.png"))
    start = {"sixel": "\x1bP", "kitty": "\x1b_G", "iterm2": "\x1b]1337;"}[way]
    pieces = re.findall(r"\x1b\[\d+A\x1b7(.*?)\x1b8\x1b\[\d+B", sent, re.DOTALL)
    assert len(pieces) >= 2
    assert all(piece.startswith(start) for piece in pieces)
