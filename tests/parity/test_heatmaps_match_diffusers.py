"""Heatmaps against probabilities that Diffusers' UNet computes with the same weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import interpolate

import gesso
from gesso import GenerationRequest
from gesso.pipeline.heatmaps import HeatmapRecorder, Heatmaps
from gesso.pipeline.pipeline import Pipeline, last_step

Call = tuple[Tensor, Tensor, Tensor]


class Recording:
    """An attention processor that keeps the probabilities of cross-attention."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            attn.head_to_batch_dim(layer(read))
            for layer, read in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        probabilities = attn.get_attention_scores(q, k)  # (b · heads, n, m)
        if encoder_hidden_states is not None:
            self.kept.append(probabilities.unflatten(0, (-1, attn.heads)))
        return attn.to_out[0](attn.batch_to_head_dim(probabilities @ v))


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(tiny_model / "unet").eval()


def record(pipe: Pipeline, request: GenerationRequest) -> tuple[list[Heatmaps], list[Call]]:
    """The heatmaps of a request, and what the network was asked meanwhile."""
    calls: list[Call] = []
    hook = pipe.unet.register_forward_pre_hook(lambda _, asked: calls.append(asked))
    recorder = HeatmapRecorder()
    last_step(pipe.stream(request, heatmaps=recorder))
    hook.remove()
    return recorder.heatmaps(), calls


@torch.inference_mode()
def expected(
    reference: UNet2DConditionModel, calls: list[Call], batch_rows: list[int], tokens: list[int]
) -> Tensor:
    """(rows, h, w): each layer's map of each call enlarged, and the average of all of them."""
    size = calls[-1][0].shape[-2:]
    maps: list[Tensor] = []
    for latents, timesteps, context in calls:
        recording = Recording()
        reference.set_attn_processor(recording)  # pyright: ignore[reportArgumentType]
        reference(latents, timesteps, context)
        assert len(recording.kept) == 4  # one on the way down, one in the middle, two on the way up
        for probabilities in recording.kept:
            given = probabilities[batch_rows].mean(1)[:, :, tokens].sum(-1)  # (rows, n)
            side = math.isqrt(given.shape[1] * size[0] // size[1])
            low = given.unflatten(1, (side, -1))[:, None]
            maps.append(interpolate(low, size, mode="bicubic")[:, 0])
    return torch.stack(maps).mean(0).clamp(min=0)


def rows_of(pipe: Pipeline, text: str, word: str) -> list[int]:
    """Tokens of the first such word of a prompt of one chunk."""
    before = text[: text.index(word)]
    begin, end = (len(pipe.tokenizer.encode(part)) for part in (before, before + word))
    return list(range(begin + 1, end + 1))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-4)


def test_maps_of_a_batch(pipe: Pipeline, reference: UNet2DConditionModel) -> None:
    prompt = "a (red:1.3) house, night"
    heatmaps, calls = record(
        pipe, GenerationRequest(prompt, steps=3, seed=7, count=2, guidance_scale=4, width=96, height=64)
    )
    assert [each.words for each in heatmaps] == [("a", "red", "house", "night")] * 2
    for place, word in enumerate(heatmaps[0].words):
        theirs = expected(reference, calls, [2, 3], rows_of(pipe, "a red house, night", word))
        close(torch.stack([each.maps[place] for each in heatmaps]), theirs)


def test_words_count_where_they_are_said(pipe: Pipeline, reference: UNet2DConditionModel) -> None:
    request = GenerationRequest(
        "a [red:pine:0.5] house", steps=4, seed=7, guidance_scale=1, sampler="euler"
    )
    (heatmaps,), calls = record(pipe, request)
    assert heatmaps.words == ("a", "red", "house", "pine")
    for word, steps in (("red", calls[:2]), ("pine", calls[2:])):
        theirs = expected(reference, steps, [0], rows_of(pipe, f"a {word} house", word))
        close(heatmaps.maps[heatmaps.words.index(word)][None], theirs)
    early, late = (
        expected(reference, part, [0], rows_of(pipe, f"a {word} house", "house"))
        for word, part in (("red", calls[:2]), ("pine", calls[2:]))
    )
    close(heatmaps.maps[heatmaps.words.index("house")][None], (early + late) / 2)


def test_prompts_drawn_together(pipe: Pipeline, reference: UNet2DConditionModel) -> None:
    """The rows of the batch: two negative ones, two of the first prompt, two of the second."""
    request = GenerationRequest("a house AND a pine :0.5", steps=2, seed=7, count=2, sampler="heun")
    heatmaps, calls = record(pipe, request)
    assert heatmaps[0].words == ("a", "house", "a (2)", "pine")
    for word, text, rows in (("house", "a house ", [2, 3]), ("pine", " a pine ", [4, 5])):
        place = heatmaps[0].words.index(word)
        theirs = expected(reference, calls, rows, rows_of(pipe, text, word))
        close(torch.stack([each.maps[place] for each in heatmaps]), theirs)


def test_a_prompt_of_two_chunks(pipe: Pipeline, reference: UNet2DConditionModel) -> None:
    (heatmaps,), calls = record(pipe, GenerationRequest("a house BREAK at night", steps=2, seed=7))
    theirs = expected(reference, calls, [1], [77 + row for row in rows_of(pipe, "at night", "night")])
    close(heatmaps.maps[heatmaps.words.index("night")][None], theirs)


def test_contexts_that_are_repeated(pipe: Pipeline, reference: UNet2DConditionModel) -> None:
    """A prompt of one chunk beside a negative one of two is read twice; both times count."""
    request = GenerationRequest(
        "a house", negative_prompt="night BREAK red", steps=2, seed=7, pad_prompts=False
    )
    (heatmaps,), calls = record(pipe, request)
    assert calls[0][2].shape[1] == 2 * 77
    (row,) = rows_of(pipe, "a house", "a")
    theirs = expected(reference, calls, [1], [row, row + 77])
    close(heatmaps.maps[0][None], theirs)


def test_prompts_that_change_from_call_to_call(pipe: Pipeline, reference: UNet2DConditionModel) -> None:
    request = GenerationRequest(
        "[red|pine]", steps=3, seed=7, sampler="heun", prompt_timing="calls", guidance_scale=1
    )
    (heatmaps,), calls = record(pipe, request)
    assert heatmaps.words == ("red", "pine")
    assert len(calls) == 5  # the last step has one
    for word, which in (("red", (0, 1, 3)), ("pine", (2, 4))):  # counted from 0, where nothing changes yet
        theirs = expected(reference, [calls[each] for each in which], [0], rows_of(pipe, word, word))
        close(heatmaps.maps[heatmaps.words.index(word)][None], theirs)
