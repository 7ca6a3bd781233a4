"""Pictures in terminals, read back from the bytes that are written."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gesso.cli.previews import Budget, side_by_side
from gesso.cli.terminal import blocks, iterm2, kitty, sixel
from gesso.cli.terminal.query import attributes
from gesso.cli.terminal.region import MOST_ROWS, SPARE_LINES, Region, cells
from gesso.cli.terminal.terminal import Terminal, choose_way, find_terminal, has_true_colour


def noise(width: int, height: int, levels: int = 256, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed).integers(0, levels, (height, width, 3))
    return Image.fromarray((random * 255 // (levels - 1)).astype(np.uint8))


# Blocks


def read_blocks(text: str) -> np.ndarray:
    """(rows · 2, columns, 3) of what 24-bit half blocks show."""
    rows = []
    for line in text.split(blocks.NEXT_ROW):
        colours: dict[str, tuple[int, ...]] = {}
        row = []
        for codes, _ in re.findall(r"(?:\x1b\[([\d;]*)m)?(▀)", line):
            for place, red, green, blue in re.findall(r"([34]8);2;(\d+);(\d+);(\d+)", codes):
                colours[place] = (int(red), int(green), int(blue))
            row.append((colours["38"], colours["48"]))
        assert line.endswith(blocks.RESET)
        rows.append(row)
    return np.array(rows).transpose(0, 2, 1, 3).reshape(2 * len(rows), -1, 3)


def test_blocks_are_two_pixels_each() -> None:
    image = noise(7, 6, levels=3)
    np.testing.assert_array_equal(
        read_blocks(blocks.encode(image, 7, 3, true_colour=True)), np.asarray(image)
    )


def test_colours_are_said_where_they_change() -> None:
    text = blocks.encode(Image.new("RGB", (50, 4), "red"), 50, 2, true_colour=True)
    assert text.count("38;") == 2


def test_256_colours_are_the_nearest_of_the_cube() -> None:
    image = Image.new("RGB", (1, 2))
    image.putpixel((0, 0), (255, 140, 10))
    image.putpixel((0, 1), (0, 0, 0))
    assert blocks.encode(image, 1, 1, true_colour=False) == "\x1b[38;5;208;48;5;16m▀\x1b[0m"


# Sixels


def read_sixels(text: str) -> np.ndarray:
    """(h, w, 3): a picture in percent of each colour, from the text between DCS and ST."""
    found = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\', text)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    picture = np.full((-(-height // 6) * 6, width, 3), -1)
    palette: dict[int, tuple[int, ...]] = {}
    colour, x, band = 0, 0, 0
    for token in re.findall(r"#\d+(?:;2;\d+;\d+;\d+)?|!\d+[?-~]|[?-~]|[$-]", found[3]):
        if token[0] == "#":
            number, *levels = map(int, token[1:].replace(";2;", ";", 1).split(";"))
            if levels:
                palette[number] = tuple(levels)
            colour = number
        elif token in "$-":
            x, band = 0, band + (token == "-")
        else:
            count = int(token[1:-1]) if token[0] == "!" else 1
            for bit in range(6):
                if (ord(token[-1]) - 63) >> bit & 1:
                    picture[6 * band + bit, x : x + count] = palette[colour]
            x += count
    assert (picture[height:] == -1).all()
    return picture[:height]


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 10**6))
@settings(max_examples=30)
def test_sixels_come_back(width: int, height: int, seed: int) -> None:
    """Eight colours at most, so none is rounded but to percent."""
    image = noise(width, height, levels=2, seed=seed)
    expected = np.asarray(image).astype(int) * 100 // 255
    assert np.abs(read_sixels(sixel.encode(image)) - expected).max() <= 1


def test_sixels_of_many_colours_come_near() -> None:
    gradient = Image.linear_gradient("L").resize((60, 60)).convert("RGB")
    shown = read_sixels(sixel.encode(gradient))
    assert np.abs(shown * 2.55 - np.asarray(gradient)).mean() < 8


def test_sixels_count_what_repeats() -> None:
    assert sixel.encode(Image.new("RGB", (200, 6), "red")).count("!200~") == 1


# Kitty and iTerm2


def test_kitty_gets_a_png_in_chunks() -> None:
    image = noise(80, 60)
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty.encode(image, 20, 9, 5))
    assert len(commands) > 2
    assert commands[0][0] == "a=T,f=100,i=5,p=1,c=20,r=9,C=1,q=2,m=1"
    assert [keys for keys, _ in commands[1:]] == ["m=1"] * (len(commands) - 2) + ["m=0"]
    assert all(len(data) <= 4096 for _, data in commands)
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in commands)))) as shown:
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(image))


def test_iterm2_gets_a_png() -> None:
    image = noise(8, 6)
    found = re.fullmatch(r"\x1b\]1337;File=(.*):(.*)\x07", iterm2.encode(image, 20, 9))
    assert found is not None
    data = base64.b64decode(found[2])
    assert found[1] == f"inline=1;size={len(data)};width=20;height=9;preserveAspectRatio=0"
    with Image.open(io.BytesIO(data)) as shown:
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(image))


# Which


@pytest.mark.parametrize(
    ("environment", "sixels", "way"),
    [
        ({"TERM": "xterm-kitty"}, True, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, False, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, False, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, True, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, False, "iterm2"),
        ({"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, False, "blocks"),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, True, "sixel"),
        ({"TERM": "foot"}, True, "sixel"),
        ({"TERM": "xterm-256color"}, False, "blocks"),
        ({}, False, "blocks"),
    ],
)
def test_the_way_of_a_terminal(environment: dict[str, str], sixels: bool, way: str) -> None:
    assert choose_way(environment, lambda: sixels) == way


def test_true_colour_is_what_the_terminal_says() -> None:
    assert has_true_colour({"COLORTERM": "truecolor"})
    assert has_true_colour({"TERM": "xterm-kitty"})
    assert not has_true_colour({"TERM": "xterm-256color"})


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [(b"\x1b[?62;4;22c", {62, 4, 22}), (b"junk\x1b[?6c", {6}), (b"\x1b[?62;", set()), (b"", set())],
)
def test_answers_of_terminals(answer: bytes, numbers: set[int]) -> None:
    assert attributes(answer) == numbers


def test_what_is_no_terminal() -> None:
    def never() -> bool:
        raise AssertionError("nobody is to be asked")

    assert find_terminal(io.StringIO(), "auto", {"TERM": "xterm-kitty"}, never) is None


# Where


@given(
    st.sampled_from(["blocks", "sixel", "kitty", "iterm2"]),
    st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    st.integers(2, 300),
    st.integers(1, 200),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_pictures_fit_the_window(
    way: str, size: tuple[int, int], columns: int, lines: int, cell: tuple[int, int]
) -> None:
    shown = cells(size, Terminal(way, columns, lines, cell))
    if lines <= SPARE_LINES:
        assert shown == (0, 0)
    else:
        assert 1 <= shown[0] < columns
        assert 1 <= shown[1] <= min(MOST_ROWS, lines - SPARE_LINES)


def test_a_region_is_drawn_in_place_and_taken_away() -> None:
    written: list[str] = []
    region = Region(Terminal("blocks", 80, 13), written.append, (16, 8))
    assert (region.columns, region.rows) == (40, 10)
    picture = blocks.encode(Image.new("RGB", (16, 8), "red"), 40, 10, true_colour=True)
    place = f"\r\x1b[10A\x1b7{picture}\x1b8\x1b[10B"
    region.draw(Image.new("RGB", (16, 8), "red"))
    region.draw(Image.new("RGB", (32, 16), "red"))
    region.erase()
    region.erase()
    assert written == ["\n" * 10 + place, place, "\r\x1b[10A\x1b[J"]


def test_kittys_picture_is_taken_away_by_its_number() -> None:
    written: list[str] = []
    region = Region(Terminal("kitty", 80, 30), written.append, (8, 8))
    region.draw(Image.new("RGB", (8, 8)))
    region.erase()
    number = re.search(r"i=(\d+)", written[0])
    assert number is not None
    assert written[1].startswith(f"\x1b_Ga=d,d=I,i={number[1]},q=2;\x1b\\")


# When


def test_previews_take_their_share_of_the_time_and_no_more() -> None:
    now = [0.0]
    budget = Budget(0.05, clock=lambda: now[0])
    shown = 0
    for _ in range(1000):  # steps of 10 ms, previews of 3
        now[0] += 0.010
        if budget.left:
            shown += 1
            with budget.spending():
                now[0] += 0.003
    assert budget.spent < 0.05 * now[0] + 0.003
    assert shown > 0.04 * now[0] / 0.003


def test_a_batch_is_one_picture() -> None:
    one, *others = (Image.new("RGB", (4, 2), colour) for colour in ("red", "green", "blue"))
    page = side_by_side([one, *others])
    assert page.size == (8, 4)
    assert page.getpixel((0, 3)) == (0, 0, 255)
    assert side_by_side([one]) is one
