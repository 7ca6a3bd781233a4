"""The figure of the UNet: sound SVG, no number that is not the outline's, no text over another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from gesso.anatomy.dissect import Anatomy, dissect
from gesso.anatomy.figure import draw
from gesso.anatomy.numbers import count, mac_unit, share
from gesso.anatomy.report import report
from gesso.anatomy.tally import tally
from gesso.config import (
    SD15,
    SD15_INPAINT,
    STORYBOOK,
    AutoencoderConfig,
    ModelConfig,
    TextEncoderConfig,
    UNetConfig,
)

SVG = "{http://www.w3.org/2000/svg}"
TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_channels=(16, 32),
        attention_levels=(False, True),
        heads=2,
        context_dim=24,
        groups=8,
        sample_size=8,
    ),
    autoencoder=AutoencoderConfig(block_channels=(8, 16), groups=4),
    text_encoder=TextEncoderConfig(vocab_size=50, width=24, layers=2, heads=2, mlp_width=48, max_length=11),
)
ONE_LEVEL = replace(
    TINY, name="shallow", unet=replace(TINY.unet, block_channels=(16,), attention_levels=(True,))
)
CASES = {
    "sd15": (SD15, None),
    "inpainting, large": (SD15_INPAINT, (2048, 1024)),
    "storybook": (STORYBOOK, None),
    "tiny": (TINY, None),
    "one level": (ONE_LEVEL, (24, 8)),
}


class Case(NamedTuple):
    anatomy: Anatomy
    root: ElementTree.Element


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    config, size = CASES[request.param]
    anatomy = dissect(config, *(size or ()))
    return Case(anatomy, ElementTree.fromstring(draw(anatomy)))


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    what: str

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.top <= y <= self.bottom


def texts(root: ElementTree.Element) -> Iterator[Box]:
    """The boxes of all lines of text, as wide as DejaVu Sans sets them on average."""
    for element in root.iter(f"{SVG}text"):
        content, size = element.text or "", float(element.get("font-size", 0))
        width = size * len(content) * (0.68 if element.get("font-weight") == "bold" else 0.6)
        x, y = float(element.get("x", 0)), float(element.get("y", 0))
        left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[element.get("text-anchor", "start")]
        yield Box(left, y - 0.76 * size, left + width, y + 0.2 * size, content)


def rectangles(root: ElementTree.Element) -> Iterator[Box]:
    for element in root.iter(f"{SVG}rect"):
        if element.get("x"):
            x, y, width, height = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
            yield Box(x, y, x + width, y + height, "rectangle")


def page(root: ElementTree.Element) -> Box:
    left, top, width, height = map(float, root.get("viewBox", "").split())
    return Box(left, top, left + width, top + height, "page")


def test_no_text_lies_over_another(case: Case) -> None:
    overlapping = [(a.what, b.what) for a, b in combinations(texts(case.root), 2) if a.overlaps(b)]
    assert overlapping == []


def test_text_stays_inside_its_box_and_the_page(case: Case) -> None:
    boxes = [*rectangles(case.root), page(case.root)]
    for text in texts(case.root):
        middle = ((text.left + text.right) / 2, (text.top + text.bottom) / 2)
        around = min(
            (box for box in boxes if box.holds(*middle)),
            key=lambda box: (box.right - box.left) * (box.bottom - box.top),
        )
        assert around.left <= text.left, text.what
        assert text.right <= around.right, text.what


def test_every_number_is_the_outlines(case: Case) -> None:
    known = known_numbers(case.anatomy)
    for text in texts(case.root):
        numbers = re.findall(
            r"\d+(?:[.,]\d+)*(?: [GMk]\b|%)?", text.what.removesuffix(case.anatomy.config.name)
        )
        assert set(numbers) <= known, text.what


def known_numbers(anatomy: Anatomy) -> set[str]:
    unet, unit = anatomy.unet, mac_unit(anatomy.unet.macs)
    steps = [step for block in unet.blocks for step in block.steps]
    shapes = [shape for part in (*unet.blocks, *steps) for shape in (*part.inputs, part.output)]
    known = {str(length) for shape in shapes for length in shape}
    known |= {number for step in steps for number in re.findall(r"\d+", step.detail)}
    known |= {number for block in unet.blocks for number in re.findall(r"\d+\.\d+", block.label)}
    known |= {str(n) for b in unet.blocks if b.reads for n in (b.reads.channels, b.reads.input_channels)}
    known |= {f"{unet.parameters:,}", str(anatomy.width), str(anatomy.height)}
    entries = [entry for top in tally(unet) for entry in (top, *top.parts)]
    # Sublayers of a transformer are summed here by hand, over the steps of the block that the inset shows.
    shown = next(block for block in unet.blocks if block.kind == "SpatialTransformer")
    roles = {step.role for step in shown.steps}
    sums = [sum(step.parameters for step in shown.steps if step.role == role) for role in roles]
    counts = [part.parameters for part in (*unet.blocks, *steps, *entries, unet)] + sums
    known |= {count(number) for number in counts}
    known |= {unit.format(part.macs) for part in (*entries, unet)}
    known |= {share(entry.parameters, unet.parameters) for entry in (*entries, unet)}
    known |= {share(entry.macs.total, unet.macs.total) for entry in (*entries, unet)}
    products = unet.macs.attention
    return known | {f"{products / unit.scale:.2f}", share(products, unet.macs.total)}


def test_every_block_and_every_skip_is_drawn(case: Case) -> None:
    unet = case.anatomy.unet
    written = [text.what for text in texts(case.root)]
    for kind in ("ResnetBlock", "SpatialTransformer", "Downsample", "Upsample"):
        assert written.count(kind) == sum(block.kind == kind for block in unet.blocks)
    for block in unet.blocks:
        if block.reads:
            assert f"reads {block.reads.input_channels} + {block.reads.channels}" in written
            assert written.count(block.reads.label) == written.count(block.label) == 1


def test_skips_run_from_the_layer_that_leaves_them_to_the_block_that_reads_them(case: Case) -> None:
    """At the two ends of each skip's line stand the labels of its layers."""
    written = {text.what: text for text in texts(case.root)}
    for block in case.anatomy.unet.blocks:
        if block.reads:
            source, reader = written[block.reads.label], written[block.label]
            assert source.top == reader.top
            assert source.right < reader.left


def test_the_file_stands_alone(case: Case) -> None:
    svg = draw(case.anatomy)
    assert not re.search(r"href|url\(|<style|<script|<image", svg)
    background = next(case.root.iter(f"{SVG}rect"))
    assert background.attrib == {"width": "100%", "height": "100%", "fill": "#ffffff"}
    assert svg == draw(case.anatomy)


def test_names_are_escaped() -> None:
    anatomy = dissect(replace(TINY, name="a <b> & c"))
    [title] = ElementTree.fromstring(draw(anatomy)).iter(f"{SVG}title")
    assert title.text == "The UNet of a <b> & c"


def test_the_documentation_shows_what_the_code_draws_and_prints() -> None:
    """Where it does not: `gesso inspect sd15 --figure …` writes the figure, and prints the report, anew."""
    docs = Path(__file__).parents[2] / "docs"
    anatomy = dissect(SD15)
    assert (docs / "images" / "unet.svg").read_text(encoding="utf-8") == draw(anatomy)
    excerpt = (docs / "unet.md").read_text(encoding="utf-8").rpartition("## The numbers")[2].split("```")[1]
    printed = report(anatomy).splitlines()
    assert [line for line in excerpt.strip("\n").splitlines() if line != "…" and line not in printed] == []
