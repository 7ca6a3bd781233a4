"""Heatmaps: recorded without a trace, whatever draws; shown on a sheet; kept as arrays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import gesso
from gesso import GenerationRequest
from gesso.engine.engine import optimise
from gesso.engine.watched import attention_on
from gesso.errors import RequestError
from gesso.models.attention import CrossAttention
from gesso.pipeline.heatmap_sheet import array_file, heatmap_sheet
from gesso.pipeline.heatmaps import MAX_WORDS, HeatmapRecorder, Heatmaps, halved
from gesso.pipeline.pipeline import Pipeline, last_step

PROMPT = "a red house, at night"


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


def drawn(pipe: Pipeline, prompt: str = PROMPT, **fields: Any) -> Tensor:
    return last_step(pipe.stream(GenerationRequest(prompt, **{"steps": 2, "seed": 7, **fields}))).latents


def recorded(pipe: Pipeline, prompt: str = PROMPT, **fields: Any) -> tuple[Tensor, list[Heatmaps]]:
    recorder = HeatmapRecorder()
    request = GenerationRequest(prompt, **{"steps": 2, "seed": 7, **fields})
    latents = last_step(pipe.stream(request, heatmaps=recorder)).latents
    return latents, recorder.heatmaps()


# Recording


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": 2, "guidance_scale": 1},
        {"guidance_interval": (1.0, 5.0), "steps": 4},
        {"hires_scale": 2},
        {"deep_cache": 2, "steps": 4},
        {"tiling": "x"},
        {"sampler": "dpmpp_sde"},
    ],
    ids=str,
)
def test_the_picture_stays_the_same(pipe: Pipeline, fields: dict[str, Any]) -> None:
    latents, heatmaps = recorded(pipe, **fields)
    assert torch.equal(latents, drawn(pipe, **fields))
    assert len(heatmaps) == fields.get("count", 1)
    for each in heatmaps:
        assert each.words == ("a", "red", "house", "at", "night")
        assert each.maps.shape == (5, *latents.shape[-2:])
        assert each.maps.dtype == torch.float32
        assert 0 < each.maps.min() < each.maps.max() < 1
        assert each.maps.sum(0).max() < 1  # start, end and padding have their share


@pytest.mark.parametrize("names", [["shared-prefix", "cached-context"], ["tiled-attention"]], ids=str)
def test_with_the_engine_on(tiny_model: Path, pipe: Pipeline, names: list[str]) -> None:
    """What computes without probabilities is recorded as well, and draws what it draws."""
    fast = gesso.load(tiny_model, device="cpu")
    optimise([fast.unet], names)
    latents, (heatmaps,) = recorded(fast)
    torch.testing.assert_close(latents, drawn(fast), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(heatmaps.maps, recorded(pipe)[1][0].maps, atol=1e-5, rtol=1e-4)


def test_weights_that_come_when_they_are_needed(tiny_model: Path, pipe: Pipeline) -> None:
    streaming = gesso.load(tiny_model, device="cpu", low_memory=True)
    _, (heatmaps,) = recorded(streaming)
    torch.testing.assert_close(heatmaps.maps, recorded(pipe)[1][0].maps, atol=1e-5, rtol=1e-4)


def test_nothing_stays_on_the_pipeline(pipe: Pipeline) -> None:
    def state() -> list[tuple[int, type, int]]:
        return [(id(each), type(each), len(each._forward_pre_hooks)) for each in pipe.unet.modules()]

    before = state(), sorted(vars(pipe))
    recorded(pipe)
    assert (state(), sorted(vars(pipe))) == before


def test_a_picture_is_the_same_alone_or_in_a_batch(pipe: Pipeline) -> None:
    _, together = recorded(pipe, count=2)
    _, (alone,) = recorded(pipe, seed=8)
    torch.testing.assert_close(together[1].maps, alone.maps, atol=1e-5, rtol=1e-4)


def test_memory_does_not_grow_with_steps(pipe: Pipeline) -> None:
    def held(steps: int) -> int:
        recorder = HeatmapRecorder()
        request = GenerationRequest("a [red|blue] house", steps=steps, seed=7)
        last_step(pipe.stream(request, heatmaps=recorder))
        return sum(sums.numel() for tally in recorder._tallies.values() for sums in tally.sums.values())

    assert held(2) == held(6)


def test_only_what_the_prompt_asks_counts(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other guidance asks the network again; its calls are of other latents, or otherwise computed."""
    calls: list[int] = []
    recorder = HeatmapRecorder()
    watch = recorder.watch
    monkeypatch.setattr(recorder, "watch", lambda *told: (calls.append(len(told[1])), watch(*told)))
    request = GenerationRequest(PROMPT, steps=2, seed=7, pag_scale=2, pag_layers=("mid",), sag_scale=0.5)
    last_step(pipe.stream(request, heatmaps=recorder))
    assert calls == [2] * 2 * 4  # two steps, four layers, negative and positive


def test_words_are_told_apart(pipe: Pipeline) -> None:
    _, (heatmaps,) = recorded(pipe, "a cat, a (cat:1.2) AND [house|tree]")
    assert heatmaps.words == ("a", "cat", "a (2)", "cat (2)", "house", "tree")


@pytest.mark.parametrize("prompt", ["", "..."])
def test_a_prompt_without_words(pipe: Pipeline, prompt: str) -> None:
    _, (heatmaps,) = recorded(pipe, prompt, guidance_scale=2)
    assert heatmaps.words == ()
    assert heatmaps.maps.shape == (0, 8, 8)


def test_too_many_words(pipe: Pipeline) -> None:
    with pytest.raises(RequestError, match=f"prompt: heatmaps of 400 words are more than {MAX_WORDS}"):
        recorded(pipe, "word " * 400)


def test_attention_in_portions_is_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = CrossAttention(16, 12, heads=2)
    x, context, groups = torch.randn(20, 16), torch.randn(7, 12), torch.eye(7)
    whole = attention_on(layer, x, context, groups)
    monkeypatch.setattr("gesso.engine.watched.BLOCK", 3 * 2 * 7)
    torch.testing.assert_close(attention_on(layer, x, context, groups), whole)
    torch.testing.assert_close(whole.sum(0), torch.ones(20))


def test_sizes_of_feature_maps() -> None:
    assert list(halved((9, 12))) == [(9, 12), (5, 6), (3, 3), (2, 2), (1, 1)]


# Sheets and arrays


def made_up(*words: str) -> Heatmaps:
    maps = torch.zeros(len(words), 4, 4)
    for place in range(len(words)):
        maps[place, place // 4 % 4, place % 4] = 0.5
    return Heatmaps(words, maps)


def test_the_sheet_shows_each_word_where_it_looked() -> None:
    sheet = heatmap_sheet(Image.new("RGB", (64, 64), "grey"), made_up("cat", "dog"))
    pixels = np.asarray(sheet).astype(int)
    assert sheet.size == (3 * 200 + 8, 224 + 8)
    first, second, third = (pixels[8:200, left : left + 192] for left in (8, 208, 408))
    assert (first == 128).all()
    for tile, column in ((second, 0), (third, 1)):
        brightest = np.unravel_index(tile.sum(-1).argmax(), tile.shape[:2])
        assert brightest[0] < 60
        assert int(brightest[1] * 4 // 192) == column
    labels = pixels[204:222]
    assert all((labels[:, left : left + 60] < 100).any() for left in (8, 208, 408))


def test_a_sheet_of_part_of_a_picture() -> None:
    """Outside what was drawn, the picture has neither colours nor heat."""
    sheet = heatmap_sheet(Image.new("RGB", (192, 96), "red"), made_up("cat"), (96, 0, 192, 96))
    tile = np.asarray(sheet)[8:104, 208:400]
    outside, inside = tile[:, :96], tile[:, 96:]
    assert (outside == outside[0, 0]).all()
    assert len(set(outside[0, 0].tolist())) == 1
    assert inside.reshape(-1, 3).std(0).max() > 10


@pytest.mark.parametrize("size", [(8, 512), (512, 8), (1024, 1024)])
def test_sheets_of_any_shape(size: tuple[int, int]) -> None:
    words = ["cat", "猫", "supercalifragilistic" * 4, *(str(number) for number in range(40))]
    sheet = heatmap_sheet(Image.new("RGB", size), made_up(*words))
    assert max(sheet.size) < 3000


def test_arrays_come_back() -> None:
    heatmaps = made_up("cat", "猫")
    with np.load(io.BytesIO(array_file(heatmaps)), allow_pickle=False) as file:
        assert file["words"].tolist() == ["cat", "猫"]
        assert file["maps"].dtype == np.float32
        np.testing.assert_array_equal(file["maps"], heatmaps.maps.numpy())
