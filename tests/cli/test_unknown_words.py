"""Words that a model was never taught: they are drawn, and named on stderr once.

The tiny model was taught "a red house beside a pine tree, at night".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Run = Callable[..., Any]


def test_they_are_drawn_and_named(draw: Run) -> None:
    ended = draw("-n", "an ugly tree", prompt="a (Gothic:1.3) dragon, a dragon at 3")
    assert ended.status == 0
    assert Path(ended.out.strip()).exists()
    words = '"gothic", "dragon", "an" and "ugly"'
    assert ended.err == f"gesso: tiny never saw the words {words}, and can only guess at them\n"
    assert draw(prompt="a dragon").err == (
        'gesso: tiny never saw the word "dragon", and can only guess at it\n'
    )


def test_nothing_is_said_of_words_it_knows(draw: Run) -> None:
    assert draw(prompt="a (red:1.3) house [beside:at:0.5] AND a pine tree :0.5 BREAK 3, 4!").err == ""


def test_json_stays_one_object(draw: Run) -> None:
    ended = draw("--json", prompt="a dragon")
    assert json.loads(ended.out)["model"] == "tiny"
    assert ended.err.count("\n") == 1


def test_long_lists_and_words_are_cut(draw: Run) -> None:
    letters = [chr(ord("b") + number) for number in range(24)]
    ended = draw(prompt=f"{'z' * 99} {' '.join(letters)}")
    assert ended.err.startswith(f'gesso: tiny never saw the words "{"z" * 40}…", "b", "c", ')
    assert ended.err.endswith(', "t" and 5 more, and can only guess at them\n')


def test_a_single_file_knows_them_too(gesso: Run, tiny_model: Path) -> None:
    gesso("convert", tiny_model, "one.safetensors")
    ended = gesso("a dragon", "--model", "one.safetensors", "--steps", "1", "--device", "cpu")
    assert ended.err == 'gesso: one never saw the word "dragon", and can only guess at it\n'


def test_a_batch_names_each_word_where_it_is_first_drawn(gesso: Run, tiny_model: Path) -> None:
    Path("p.txt").write_text("a dragon\na house\na gothic dragon\na dragon\n")
    arguments = ("batch", "p.txt", "--model", tiny_model, "--device", "cpu", "--steps", "1", "--count", "2")
    assert gesso(*arguments).err.splitlines() == [
        'gesso: p.txt:1: tiny never saw the word "dragon", and can only guess at it',
        'gesso: p.txt:3: tiny never saw the word "gothic", and can only guess at it',
    ]
    assert gesso(*arguments).err == "gesso: p.txt: 4 of 4 requests are drawn already\n"


def test_a_grid_names_the_words_of_all_cells(gesso: Run, tiny_model: Path) -> None:
    options = ("--model", tiny_model, "--device", "cpu", "--steps", "1")
    ended = gesso(
        "grid", "a dragon", "--x", "prompt:dragon=dragon,house,castle", "--y", "seed=1,2", *options
    )
    assert ended.status == 0
    assert ended.err == (
        'gesso: tiny never saw the words "dragon" and "castle", and can only guess at them\n'
    )


@pytest.mark.parametrize(("prompt", "lines"), [("a house", 0), ("a dragon", 1)])
def test_upscaling_names_them(gesso: Run, tiny_model: Path, prompt: str, lines: int) -> None:
    Image.new("RGB", (32, 32)).save("in.png")
    options = ("--model", tiny_model, "--device", "cpu", "--steps", "2", "--strength", "0.5")
    ended = gesso("upscale", "in.png", "--prompt", prompt, *options)
    assert (ended.status, ended.err.count("\n")) == (0, lines)
