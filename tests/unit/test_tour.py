"""The guided tour: what it measures is what it says, whatever the weights; and its text quotes it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import gesso
from gesso.diffusion.samplers import SAMPLERS
from gesso.models.resnet import Downsample, Upsample
from gesso.pipeline.pipeline import Pipeline, last_step

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images" / "tour"
PROMPT, OTHER = "a red house, at night", "an orange mushroom on the grass, by day"
assert_close = partial(torch.testing.assert_close, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """The tour is run as a module from the root, ``python -m examples.tour``."""
    sys.path.insert(0, str(ROOT))
    with torch.inference_mode():
        yield
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return gesso.load(device="cpu")


def test_there_and_back(pipe: Pipeline) -> None:
    from examples.tour.autoencoder import (
        SHARES,
        mixtures,
        psnr,
        share_at_edges,
        there_and_back,
        without_channels,
    )
    from examples.tour.scenes import rendered

    images = rendered(pipe)
    side, channels = pipe.config.image_size, pipe.config.autoencoder.latent_channels
    kept = there_and_back(pipe, images)
    assert kept.images.shape == kept.decoded.shape == (2, 3, side, side)
    assert kept.latents.shape[1] == channels
    assert kept.latents.shape[-1] * pipe.config.autoencoder.downscale == side
    assert 0 < share_at_edges(kept) < 1

    mixed, faded = mixtures(pipe, kept)
    assert len(mixed) == len(faded) == len(SHARES)
    for ends in (mixed[[0, -1]], faded[[0, -1]]):
        assert_close(ends, kept.decoded)

    without = without_channels(pipe, kept.latents[:1])
    assert len(without) == channels
    assert all(not torch.equal(each, kept.decoded[0]) for each in without)
    assert_close(psnr(images * 0.5, images * 0.5 + 0.02), torch.full((2,), 40.0))


def test_a_token_does_not_know_what_follows_it(pipe: Pipeline) -> None:
    from examples.tour.text_encoder import read_word, similarity

    prompts = ("a red house", "a red house, at night", "a blue house")
    red, red_at_night, blue = (read_word(pipe, prompt, "house") for prompt in prompts)
    assert_close(red.state, red_at_night.state)
    assert (red.state - blue.state).abs().max() > 1e-3
    assert torch.equal(red.embedding, blue.embedding)

    cosines = similarity(torch.stack([red.state, red_at_night.state, blue.state]))
    assert_close(cosines, cosines.T)
    assert_close(cosines.diagonal(), torch.ones(3))
    assert cosines[0, 2] < cosines[0, 1]


def test_skips_are_switched_off_in_a_view_alone(pipe: Pipeline) -> None:
    from examples.tour.levels import changed, drawn, without_skips
    from examples.tour.walk import denoiser, moments, walk

    levels = range(len(pipe.config.unet.block_channels))
    path = moments(pipe, walk(pipe, denoiser(pipe, PROMPT), 2))[1:]
    assert changed(pipe, PROMPT, path, without_skips(pipe.unet, ())) == pytest.approx([0])
    for off in (*((level,) for level in levels), tuple(levels)):
        assert min(changed(pipe, PROMPT, path, without_skips(pipe.unet, off))) > 1e-5
    whole, cut = drawn(pipe, PROMPT, [pipe.unet, without_skips(pipe.unet, levels)], steps=2)
    assert whole.size == cut.size == (pipe.config.image_size,) * 2
    assert whole != cut


def test_skipless_blocks_read_nothing_of_the_skip() -> None:
    from examples.tour.levels import SkiplessResnet

    from gesso.models.resnet import ResnetBlock

    block = SkiplessResnet(ResnetBlock(12, 4, time_dim=8, groups=2, eps=1e-5), width=8)
    x, t = torch.randn(1, 12, 4, 4), torch.randn(1, 8)
    other = torch.cat([x[:, :8], torch.randn(1, 4, 4, 4)], dim=1)
    assert torch.equal(block(x, t), block(other, t))
    assert not torch.equal(block(x, t), block(x + 1, t))


def test_down_and_upsample_keep_the_channels(pipe: Pipeline) -> None:
    kinds = (Downsample, Upsample)
    found = [each for each in pipe.unet.modules() if isinstance(each, kinds)]
    assert len(found) == 2 * (len(pipe.config.unet.block_channels) - 1)
    assert all(each.conv.in_channels == each.conv.out_channels for each in found)


def test_the_walk_by_hand_is_the_pipelines(pipe: Pipeline) -> None:
    from examples.tour.walk import SEED, denoiser, walk

    fields = {"seed": SEED, "steps": 2, "sampler": "euler", "schedule": "karras"}
    latents = last_step(pipe.stream(gesso.GenerationRequest(PROMPT, **fields))).latents
    assert_close(walk(pipe, denoiser(pipe, PROMPT), 2)[-1].latents, latents)


def test_what_steps_remove_adds_up(pipe: Pipeline) -> None:
    from examples.tour.steps import take_apart
    from examples.tour.walk import denoiser

    taken = take_apart(pipe, denoiser(pipe, PROMPT), steps=3)
    assert taken[-1].sigma_next == 0
    for each in taken:
        assert_close(each.denoised + each.sigma * each.noise, each.x)
        assert_close(each.x - each.removed, each.x_next)
        # Song et al. 2021, equation 12 with η = 0, in latents as the network reads them
        share, share_next = (1 / (sigma**2 + 1) for sigma in (each.sigma, each.sigma_next))
        ddim = share_next.sqrt() * each.denoised + (1 - share_next).sqrt() * each.noise
        assert_close(ddim, share_next.sqrt() * each.x_next)
        assert 0 < share < share_next
    removed = torch.cat([each.removed for each in taken]).sum(0, keepdim=True)
    assert_close(taken[0].x - removed, taken[-1].x_next)


def test_subtracting_is_another_walk(pipe: Pipeline) -> None:
    from examples.tour.steps import decoded, detail, subtract_all, subtract_plainly, take_apart
    from examples.tour.walk import denoiser

    denoise = denoiser(pipe, PROMPT)
    taken = take_apart(pipe, denoise, steps=3)
    everything, plainly = (each(pipe, denoise, steps=3) for each in (subtract_all, subtract_plainly))
    assert_close(everything[0], taken[0].denoised)
    first = taken[0].x / (taken[0].sigma ** 2 + 1) ** 0.5 - taken[0].noise
    assert_close(plainly[0], first)
    for found in (everything, plainly):
        assert (found[-1] - taken[-1].x_next).abs().max() > 1e-3

    flat, striped = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    striped[..., ::2] = -1
    assert detail(torch.cat([flat, striped])).tolist() == pytest.approx([0, 0.5**0.5])
    assert decoded(pipe, everything).shape == (3, 3, *(pipe.config.image_size,) * 2)


def test_words_are_looked_up(pipe: Pipeline) -> None:
    from examples.tour.words import agreement, recorded

    picture, heatmaps = recorded(pipe, PROMPT, steps=2)
    assert picture.size == (pipe.config.image_size,) * 2
    assert heatmaps.words == ("a", "red", "house", "at", "night")
    assert 0 < heatmaps.maps.sum(0).mean() < 1
    assert agreement(heatmaps, "red", "red") == pytest.approx(1)
    assert -1 <= agreement(heatmaps, "red", "house") < 0.9999


def test_guidance_goes_along_a_line(pipe: Pipeline) -> None:
    from examples.tour.guidance import by_scale, contrast, overshoot, step_by_step

    house, mushroom = (by_scale(pipe, prompt, (0.0, 1.0), steps=2) for prompt in (PROMPT, OTHER))
    assert_close(house[0], mushroom[0])  # the empty prompt's
    assert not torch.equal(house[1], mushroom[1])
    for each in step_by_step(pipe, PROMPT, steps=2):
        guided = each.empty + pipe.config.guidance_scale * each.direction
        assert_close(guided, each.guided, atol=1e-3, rtol=1e-3)
        assert each.strength > 0
    images = torch.tensor([-2.0, 2.0]).expand(1, 3, 4, 2)
    assert overshoot(images).tolist() == [1]
    assert contrast(images / 4).tolist() == pytest.approx([0.25], rel=0.1)


def test_samplers_of_one_curve_and_of_another(pipe: Pipeline) -> None:
    from examples.tour.samplers import NAMES, arrivals, calls
    from examples.tour.walk import denoiser, walk

    told = denoiser(pipe, PROMPT)
    asked = 0

    def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += 1
        return told(x, sigma)

    reference = walk(pipe, told, 3, sampler="euler")[-1].latents
    distances = {}
    for name in NAMES:
        asked = 0
        (arrival,) = arrivals(pipe, denoise, name, [3], reference)
        assert asked == arrival.calls == calls(name, 3)
        distances[name] = arrival.distance
    assert distances["euler"] == 0
    assert distances["ddim"] == pytest.approx(0, abs=1e-4)  # the same steps in other words
    assert min(distances[name] for name in NAMES if name not in ("euler", "ddim")) > 1e-4
    assert SAMPLERS["euler_ancestral"].kind == "ancestral"


# Pictures and text


def test_sheets_and_charts() -> None:
    from examples.tour.chart import Line, line_chart
    from examples.tour.matrix import matrix
    from examples.tour.sheet import GAP, NAMES, TILE, Row, heat, mosaic, sheet

    channels = mosaic(torch.randn(5, 8, 8))
    assert channels.size == (TILE, TILE)
    page = sheet([Row("a row", [channels, heat(torch.rand(8, 8))], ["one", "two"]), Row("", [channels])])
    assert page.width == GAP + NAMES + 2 * (TILE + GAP)
    assert matrix(torch.eye(3), ["a", "b", "c"], "a title", written=True).height > 3 * 14
    lines = [Line("a line", [(1, 0.1), (10, 0.0)]), Line("a < b", [(2, 3.0)])]
    root = ElementTree.fromstring(line_chart("a title", lines, x_title="x", y_title="y"))
    assert "a < b" in [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_numbers_are_filled_in() -> None:
    from examples.tour.quotes import filled

    text = "It is <!--steps.share:.0%-->?<!--/--> of <!--steps.word-->\n<!--/-->."
    done = filled(text, {"steps": {"share": 0.25, "word": "all"}})
    assert done == "It is <!--steps.share:.0%-->25%<!--/--> of <!--steps.word-->all<!--/-->."
    with pytest.raises(KeyError):
        filled(text, {"steps": {"share": 0.25}})


@pytest.mark.parametrize("name", ["tour.md", "tour.zh-CN.md"])
def test_the_text_shows_and_quotes_what_was_computed(name: str) -> None:
    from examples.tour.quotes import QUOTE, filled

    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    numbers = json.loads((IMAGES / "numbers.json").read_text(encoding="utf-8"))
    assert QUOTE.search(text)
    assert filled(text, numbers) == text, (
        "run python -m examples.tour docs/images/tour --text docs/tour*.md"
    )
    shown = re.findall(r"!\[[^\]]+\]\(images/tour/([^)]+)\)", text)
    pictures = {path.name for path in IMAGES.iterdir()} - {"numbers.json"}
    assert sorted(shown) == sorted(pictures)
    for link in re.findall(r"\]\((\.\./[^)#]+|[\w.-]+\.md)", text):
        assert (ROOT / "docs" / link).exists(), link
