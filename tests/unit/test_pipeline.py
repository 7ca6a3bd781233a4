"""The page from text to picture: the seed contract, what each step yields, and what is refused."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gesso
from gesso.diffusion.samplers import SAMPLERS, Step
from gesso.errors import NumericsError, PromptError, RequestError
from gesso.pipeline.images import to_pil
from gesso.pipeline.pipeline import Pipeline

PROMPT = "a red house beside a pine tree, at night"


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


@pytest.fixture
def broken(tiny_model: Path) -> Pipeline:
    """One whose weights a test may spoil."""
    return gesso.load(tiny_model, device="cpu")


def pixels(pil_image: Image.Image) -> np.ndarray:
    return np.asarray(pil_image).astype(int)


def draw(pipe: Pipeline, prompt: str = PROMPT, **fields: object) -> list[np.ndarray]:
    fields = {"steps": 2, "seed": 7, **fields}
    return [pixels(picture) for picture in pipe(prompt, **fields).images]


def batch_sizes(network: nn.Module) -> list[int]:
    """Filled with the batch size of each call of a network."""
    sizes: list[int] = []
    network.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    return sizes


def contexts(network: nn.Module) -> list[Tensor]:
    """Filled with the context of each call of a UNet."""
    seen: list[Tensor] = []
    network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[2]))
    return seen


# Seeds


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
def test_a_batch_of_four_is_four_pictures_alone(pipe: Pipeline, sampler: str) -> None:
    fields = {"sampler": sampler, "steps": 3}
    together = draw(pipe, count=4, batch_size=4, **fields)
    alone = [picture for seed in range(7, 11) for picture in draw(pipe, seed=seed, **fields)]
    for one, other in zip(together, alone, strict=True):
        assert np.abs(one - other).max() <= 1
    for one, other in pairwise(together):
        assert np.abs(one - other).mean() > 5, "pictures of different seeds look different"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_latents_do_not_depend_on_the_batch(pipe: Pipeline, sampler: str) -> None:
    """Without guidance, which would make ten times as much of rounding."""
    last = 2**64 - 1
    request = gesso.GenerationRequest(PROMPT, sampler=sampler, steps=2, guidance_scale=1, seed=last)
    *_, together = pipe.stream(replace(request, seed=last - 2, count=3))
    *_, alone = pipe.stream(request)
    difference = (together.latents[2:] - alone.latents).abs().max()
    assert difference <= 1e-5 * alone.latents.abs().max()


def test_count_is_drawn_in_batches_of_batch_size(broken: Pipeline) -> None:
    sizes = batch_sizes(broken.unet)
    split = draw(broken, count=5, batch_size=2, guidance_scale=1, sampler="euler", steps=1)
    assert sizes == [2, 2, 1]
    whole = draw(broken, count=5, batch_size=99, guidance_scale=1, sampler="euler", steps=1)
    assert sizes[3:] == [5]
    for one, other in zip(split, whole, strict=True):
        assert np.abs(one - other).max() <= 1


def test_a_seed_left_open_is_drawn_and_told(pipe: Pipeline) -> None:
    first, second = (pipe(PROMPT, steps=1) for _ in range(2))
    assert first.request.seed != second.request.seed
    again = pipe(first.request)
    assert again.request == first.request
    np.testing.assert_array_equal(pixels(again.images[0]), pixels(first.images[0]))


def test_the_start_is_the_generators_noise(pipe: Pipeline) -> None:
    """As Diffusers draws it, times the first sigma, which a network that finds nothing leaves as it is."""
    request = gesso.GenerationRequest(PROMPT, seed=3, width=72, height=40).resolve(pipe.config)
    start = pipe.noise_source(request).start()
    generator = torch.Generator("cpu").manual_seed(3)
    assert torch.equal(start, torch.randn((1, 4, 5, 9), generator=generator))


# Steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_stream_yields_each_step_and_ends_with_the_picture(pipe: Pipeline, sampler: str) -> None:
    request = gesso.GenerationRequest(PROMPT, seed=7, steps=5, sampler=sampler)
    steps = list(pipe.stream(request))
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    sigmas = [float(step.sigma) for step in steps]
    assert sigmas == sorted(set(sigmas), reverse=True)
    assert sigmas[-1] < 0.03
    for step in steps:
        assert step.latents.shape == step.denoised.shape == (1, 4, 8, 8)
    (picture,) = pipe.decode(steps[-1].latents)
    np.testing.assert_array_equal(pixels(picture), draw(pipe, steps=5, sampler=sampler)[0])


def test_a_stream_may_be_left_at_any_step(pipe: Pipeline) -> None:
    before = draw(pipe)
    steps = pipe.stream(gesso.GenerationRequest(PROMPT, steps=50))
    next(steps)
    steps.close()
    assert torch.is_inference_mode_enabled() is False
    np.testing.assert_array_equal(draw(pipe), before)


def test_drawing_keeps_no_steps_but_the_last(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the latents of a thousand steps would pile up."""
    alive: weakref.WeakSet[Step] = weakref.WeakSet()
    most = 0
    stream = pipe.stream

    def watched(request: gesso.GenerationRequest) -> Iterator[Step]:
        nonlocal most
        for step in stream(request):
            alive.add(step)
            most = max(most, len(alive))
            yield step

    monkeypatch.setattr(pipe, "stream", watched)
    draw(pipe, steps=12, sampler="euler", width=8, height=8)
    assert 1 <= most <= 3


# Guidance


@pytest.mark.parametrize(("guidance_scale", "size"), [(1, 3), (1.0, 3), (0, 6), (7.5, 6)])
def test_only_guidance_needs_the_negative_half(broken: Pipeline, guidance_scale: float, size: int) -> None:
    sizes = batch_sizes(broken.unet)
    draw(broken, count=3, batch_size=3, guidance_scale=guidance_scale, sampler="euler")
    assert sizes == [size, size]


def test_prompts_are_encoded_once_a_batch(broken: Pipeline) -> None:
    sizes = batch_sizes(broken.text_encoder)
    draw(broken, count=3, batch_size=3, steps=5)
    assert sizes == [2]


def test_guidance_1_ignores_the_negative_prompt_and_0_the_prompt(pipe: Pipeline) -> None:
    def same(one: dict[str, object], other: dict[str, object]) -> bool:
        return np.array_equal(draw(pipe, **one), draw(pipe, **other))

    assert same({"guidance_scale": 1}, {"guidance_scale": 1, "negative_prompt": "blurry"})
    assert not same({"guidance_scale": 9}, {"guidance_scale": 9, "negative_prompt": "blurry night"})
    assert np.abs(draw(pipe, "", guidance_scale=0)[0] - draw(pipe, guidance_scale=0)[0]).max() <= 1


# Sizes


@pytest.mark.parametrize("size", [(8, 8), (72, 200), (200, 72), (8, 64), (104, 8)], ids=str)
def test_any_multiple_of_eight(pipe: Pipeline, size: tuple[int, int]) -> None:
    (picture,) = pipe(PROMPT, width=size[0], height=size[1], steps=2, seed=1).images
    assert picture.size == size
    assert picture.mode == "RGB"
    assert pixels(picture).std() > 5, "a flat picture is none"


def test_size_left_open_is_the_models(pipe: Pipeline) -> None:
    result = pipe(PROMPT, steps=1)
    assert result.images[0].size == (64, 64)
    assert (result.request.width, result.request.height) == (64, 64)


def test_a_coarser_autoencoder_asks_for_coarser_sizes(pipe: Pipeline) -> None:
    coarse = replace(pipe.config.autoencoder, block_channels=(8, 8, 8, 16, 16))
    request = gesso.GenerationRequest(PROMPT, width=72)
    with pytest.raises(RequestError, match=r"72 is not a positive multiple of 16\. Use 64 or 80"):
        request.resolve(replace(pipe.config, autoencoder=coarse))


# State


def test_nothing_stays_on_the_pipeline(pipe: Pipeline) -> None:
    before = dict(vars(pipe))
    weights = [tensor.clone() for tensor in pipe.unet.parameters()]
    global_noise = torch.get_rng_state()
    fields = {"negative_prompt": "blurry", "sampler": "euler_ancestral", "eta": 0.5}
    first = draw(pipe, **fields)
    draw(pipe, "something else", seed=1, steps=3, width=72, sampler="plms", count=2, guidance_scale=1)
    np.testing.assert_array_equal(draw(pipe, **fields), first)
    assert vars(pipe) == before
    assert all(map(torch.equal, pipe.unet.parameters(), weights))
    assert torch.equal(torch.get_rng_state(), global_noise)


def test_a_request_may_be_changed_in_the_call(pipe: Pipeline) -> None:
    request = gesso.GenerationRequest(PROMPT, seed=1, steps=2)
    np.testing.assert_array_equal(pixels(pipe(request, seed=7).images[0]), draw(pipe)[0])
    assert request.seed == 1


# Prompts


@pytest.mark.parametrize("prompt", ["", " ", "🎈🏠🌲", "日本の家", "\n", "<|endoftext|>", "\0\x07"])
def test_odd_prompts_draw(pipe: Pipeline, prompt: str) -> None:
    assert draw(pipe, prompt, steps=1)[0].shape == (64, 64, 3)
    assert draw(pipe, negative_prompt=prompt, steps=1)[0].shape == (64, 64, 3)


def test_no_word_of_a_long_prompt_is_dropped(broken: Pipeline) -> None:
    seen = contexts(broken.unet)
    words = "a red house beside a pine tree, at night " * 56  # 504 words, 560 tokens
    one = draw(broken, f"{words} red", sampler="euler", steps=1)
    other = draw(broken, f"{words} pine", sampler="euler", steps=1)
    assert seen[0].shape == (2, 77 * 8, 16)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("prompts", [("red", "night " * 100), ("night " * 100, "red")])
def test_prompts_of_different_lengths_get_one_length(broken: Pipeline, prompts: tuple[str, str]) -> None:
    seen = contexts(broken.unet)
    prompt, negative_prompt = prompts
    draw(broken, prompt, negative_prompt=negative_prompt, count=2, batch_size=2, sampler="euler", steps=1)
    assert [context.shape for context in seen] == [(4, 154, 16)]
    assert torch.equal(seen[0][0], seen[0][1])
    assert not torch.equal(seen[0][0], seen[0][2])


@pytest.mark.parametrize("prompt", ["a \ud800 cat", "cat" * 4_000_000])
def test_prompts_that_are_no_text_are_refused(pipe: Pipeline, prompt: str) -> None:
    with pytest.raises(PromptError, match="prompt: "):
        pipe(prompt)


def test_clip_skip_is_checked_against_the_text_encoder(pipe: Pipeline) -> None:
    assert not np.array_equal(draw(pipe, clip_skip=2), draw(pipe, clip_skip=1))
    with pytest.raises(RequestError, match=r"clip_skip: 3 is outside 1…2"):
        draw(pipe, clip_skip=3)


# Numbers that are none


def spoil(parameter: nn.Parameter, value: float) -> None:
    with torch.no_grad():
        parameter.fill_(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_no_numbers_are_an_error(broken: Pipeline, value: float) -> None:
    spoil(broken.unet.conv_out.bias, value)
    with pytest.raises(NumericsError, match=r"^tiny: the latents are NaN or infinite"):
        draw(broken)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pixels_that_are_no_numbers_are_an_error(tiny_model: Path, dtype: str) -> None:
    pipe = gesso.load(tiny_model, device="cpu", dtype=dtype)
    spoil(pipe.autoencoder.decoder.conv_out.bias, float("nan"))
    with pytest.raises(NumericsError, match="12288 of 12288 decoded values are NaN"):
        draw(pipe)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_draws_nearly_the_same(pipe: Pipeline, tiny_model: Path, dtype: str) -> None:
    half = gesso.load(tiny_model, device="cpu", dtype=dtype)
    assert half.dtype == getattr(torch, dtype)
    steps = list(half.stream(gesso.GenerationRequest(PROMPT, seed=7, steps=2)))
    assert steps[-1].x.dtype == torch.float32, "the sampler's own arithmetic stays exact"
    assert np.abs(draw(half)[0] - draw(pipe)[0]).mean() < 4


def test_overflow_of_half_precision_is_decoded_again(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    half = gesso.load(tiny_model, device="cpu", dtype="float16")
    latents = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(0)) / 5
    with caplog.at_level(logging.INFO, logger="gesso"):
        half.decode(latents)
    assert not caplog.messages
    with torch.no_grad():
        half.autoencoder.post_quant_conv.weight *= 1000
        half.autoencoder.decoder.conv_in.weight *= 10_000
    assert not half.autoencoder.decode(latents.half()).isfinite().all(), "else there is nothing to show"
    names = set(half.autoencoder.state_dict())
    with caplog.at_level(logging.INFO, logger="gesso"):
        pictures = half.decode(latents)
    assert "overflows in torch.float16" in caplog.text

    assert {parameter.dtype for parameter in half.autoencoder.parameters()} == {torch.float16}
    assert set(half.autoencoder.state_dict()) == names
    exact = to_pil(half.autoencoder.float().decode(latents))
    for picture, expected in zip(pictures, exact, strict=True):
        assert np.abs(pixels(picture) - pixels(expected)).max() <= 1
