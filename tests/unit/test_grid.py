"""Grids: their cells, and the sheet."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gesso.errors import GessoError, ImageError, RequestError
from gesso.pipeline.axis import Axis
from gesso.pipeline.grid import MOST_CELLS, Grid, Place
from gesso.pipeline.lettering import Lettering
from gesso.pipeline.load import load
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import GenerationRequest
from gesso.pipeline.sheet import SMALLEST, Sheet, draw_sheet


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return load(tiny_model, device="cpu")


def refused(*args: object, **axes: object) -> str:
    with pytest.raises(GessoError) as caught:
        Grid(*args, **axes)  # pyright: ignore[reportArgumentType]
    return str(caught.value)


def test_cells_are_all_combinations() -> None:
    base = GenerationRequest("a house", seed=7)
    grid = Grid(base, x="sampler=euler,heun", y="steps=1..3", z=Axis("clip_skip", (1, 2)))
    assert grid.shape == (2, 3, 2)
    expected = [
        replace(base, sampler=sampler, schedule=None, steps=steps, clip_skip=clip_skip)
        for clip_skip, steps, sampler in product((1, 2), (1, 2, 3), ("euler", "heun"))
    ]
    assert [cell.request for cell in grid.cells] == expected
    assert grid.cells[-1].place == Place(1, 2, 1)


def test_all_cells_have_one_seed_unless_it_varies() -> None:
    cells = Grid("a house", x="steps=1..5", variation_strength=0.5).cells
    assert len({cell.request.seed for cell in cells}) == 1
    assert len({cell.request.variation_seed for cell in cells}) == 1
    assert cells[0].request.seed is not None
    assert [cell.request.seed for cell in Grid("a house", x="seed=3,5").cells] == [3, 5]


def test_fields_need_to_go_together_in_the_cells_only() -> None:
    grid = Grid("a house", x="sampler=ddim,euler_ancestral", eta=0.5)
    assert [cell.request.eta for cell in grid.cells] == [0.5, 0.5]
    assert "x sampler=euler: eta: the sampler euler takes no eta" in refused(
        "a house", x="sampler=ddim,euler", eta=0.5
    )


def test_words_are_replaced_in_the_prompts_of_another_axis() -> None:
    grid = Grid("", x="prompt:night=night,dawn", y='prompt="a house at night","night, on sand"')
    assert [cell.request.prompt for cell in grid.cells] == [
        *("a house at night", "a house at dawn"),
        *("night, on sand", "dawn, on sand"),
    ]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"x": "sampler=euler,eulr"}, "x: sampler: no sampler is called"),
        ({"y": "steps=1,1001"}, "y: steps: 1001 is outside 1…1000"),
        ({"z": "stepz=1"}, "z: stepz: a request has no such field"),
        ({"x": "prompt:dusk=dawn"}, "x: prompt: 'dusk' is not in it"),
        ({"x": "steps=1,2", "z": "steps=3"}, "x: steps: two axes vary it"),
        ({"x": "seed=1..1000", "y": "steps=1..1000"}, "grid: 1,000 × 1,000 × 1 cells are more than 1,000"),
        ({"x": "seed=1..9", "max_cells": 8}, "9 × 1 × 1 cells are more than 8"),
        ({"x": "seed=1", "max_cells": MOST_CELLS + 1}, "max_cells: 10001 is outside"),
        ({"x": "seed=1", "count": 2}, "count: a cell of a grid is one picture"),
        ({"x": "steps=1,2", "image": "nowhere.png"}, "x steps=1: nowhere.png: cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_refused(axes: dict[str, object], message: str) -> None:
    assert message in refused("a house at night", **axes)


def test_the_model_is_asked_before_anything_is_drawn(pipe: Pipeline) -> None:
    with pytest.raises(RequestError, match="x: clip_skip: 3 is outside 1…2"):
        Grid("a house", x="clip_skip=1,3").plan(pipe)


def test_equal_cells_are_drawn_once(pipe: Pipeline) -> None:
    plan = Grid("a red house", x="sampler=euler,Euler,heun", y="seed=1,2", steps=1).plan(pipe)
    assert [[cell.place[:2] for cell in drawing.cells] for drawing in plan] == [
        *([(0, 0), (1, 0)], [(0, 1), (1, 1)]),
        *([(2, 0)], [(2, 1)]),
    ]


def test_sizes_vary_slowest_and_seeds_fastest(pipe: Pipeline) -> None:
    plan = Grid("a house", x="width=64,72", y="seed=1,2", z="steps=1,2").plan(pipe)
    order = [(drawing.request.width, drawing.request.steps, drawing.request.seed) for drawing in plan]
    assert order == list(product((64, 72), (1, 2), (1, 2)))


def test_a_cell_is_the_picture_of_its_request(pipe: Pipeline) -> None:
    grid = Grid("a red house", x="guidance_scale=1,3", steps=2, seed=7)
    for cell, image in grid.draw(pipe):
        scale = (1.0, 3.0)[cell.place.x]
        (alone,) = pipe("a red house", guidance_scale=scale, steps=2, seed=7).images
        np.testing.assert_array_equal(np.asarray(image), np.asarray(alone))


# The sheet

COLOURS = ("red", "lime", "blue", "yellow", "cyan", "magenta")


def plain(grid: Grid, size: tuple[int, int]) -> dict[Place, Image.Image]:
    return {cell.place: Image.new("RGB", size, COLOURS[i % 6]) for i, cell in enumerate(grid.cells)}


def area(sheet: Image.Image, colour: str) -> int:
    rgb = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    return int((np.asarray(sheet) == rgb).all(axis=-1).sum())


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (512, 8), (8, 300), (200, 120)])
def test_every_picture_is_whole_on_the_sheet(size: tuple[int, int]) -> None:
    grid = Grid("a house at night", x="seed=1..3", y="prompt:night=night,dawn")
    sheet = draw_sheet(grid, plain(grid, size))
    scale = max(1, -(-SMALLEST // max(size)))
    assert {area(sheet, colour) for colour in COLOURS} == {size[0] * size[1] * scale**2}


@given(st.integers(8, 40), st.sampled_from(["x", "y", "z"]), st.text(min_size=1, max_size=600))
def test_labels_never_cover_pictures(cell_size: int, axis: str, label: str) -> None:
    grid = Grid("a house", **{axis: Axis("prompt", [f"x{label}".encode(errors="replace").decode(), "b"])})  # pyright: ignore[reportArgumentType]
    sheet = draw_sheet(grid, plain(grid, (40, 40)), cell_size=cell_size)
    assert area(sheet, "red") == area(sheet, "lime") == cell_size**2


def test_pictures_that_are_missing_are_left_out() -> None:
    grid = Grid("a house", x="seed=1,2")
    images = plain(grid, (64, 64))
    del images[Place(1, 0, 0)]
    assert area(draw_sheet(grid, images), "lime") == 0


def test_sheets_that_are_too_large_are_refused() -> None:
    grid = Grid("a house", x="seed=1..40", y="steps=1..20")
    with pytest.raises(
        RequestError, match=r"sheet: .* pixels are more than 67,108,864\. Show the pictures"
    ):
        Sheet(grid, (512, 512))
    assert Sheet(grid, (512, 512), cell_size=128).size[0] < 8192


# Its letters


def test_letters_that_no_font_has_are_written_as_numbers() -> None:
    lettering = Lettering(14)
    assert lettering.wrap("a \U00012345 b\0", 1000, 1) == ["a \\U00012345 b\\x00"]
    assert lettering.lacking == {"\U00012345"}


@given(st.text(max_size=300), st.integers(20, 300), st.integers(1, 4))
def test_lines_fit(text: str, width: int, lines: int) -> None:
    lettering = Lettering(14)
    wrapped = lettering.wrap(text, width, lines)
    assert len(wrapped) <= lines
    assert all(lettering.width(line) <= width for line in wrapped)


def test_of_long_text_the_beginning_and_the_end_are_shown() -> None:
    first, *_, last = Lettering(14).wrap("a red house " + "on sand " * 100 + "at dawn", 120, 4)
    assert first.startswith("a red house")
    assert last.endswith("dawn")


def test_long_words_break_after_joints() -> None:
    assert Lettering(14).wrap("dpmpp_2m_sde_heun", 90, 2) == ["dpmpp_2m_", "sde_heun"]


def test_what_is_no_font_is_refused() -> None:
    with pytest.raises(ImageError, match=r"nowhere\.ttf: it is no font"):
        Lettering(14, "nowhere.ttf")
