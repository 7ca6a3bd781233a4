"""Token merging: the paper's definition, written out slowly, and the network around it left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import gesso
from gesso import GenerationRequest, Pipeline, read_request
from gesso.config import UNetConfig
from gesso.engine.cpu import heap
from gesso.engine.cuda.graphed import GraphedUNet
from gesso.engine.deep_cache import DeepCache
from gesso.engine.engine import optimise
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.engine.token_merging import (
    MergingAttention,
    MergingTransformer,
    draw_tokens,
    merge_similar,
    merging_tokens,
)
from gesso.errors import RequestError
from gesso.models.attention import CrossAttention
from gesso.models.unet import UNet
from gesso.pipeline.metadata import from_parameters, png_info, to_parameters

CONFIG = UNetConfig(
    block_channels=(32, 64),
    attention_levels=(True, True),
    layers_per_block=2,
    context_dim=24,
    heads=4,
    groups=8,
)
ALL = [name for name, each in OPTIMISATIONS.items() if "cpu" in each.devices]


@pytest.fixture(autouse=True)
def no_grad(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As pictures are drawn; and the memory of the test run is left as it is."""
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: True)
    with torch.no_grad():
        yield


def made(config: UNetConfig = CONFIG) -> UNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNet(config).eval().requires_grad_(False)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(batch: int = 2, size: tuple[int, int] = (12, 10), seed: int = 0) -> tuple[Tensor, ...]:
    return normal(batch, 4, *size, seed=seed), torch.full((batch,), 500.0), normal(batch, 7, 24, seed=9)


def relative_error(ours: Tensor, judge: Tensor) -> float:
    return float((ours - judge).norm() / judge.norm())


# The definition


def attend_merged(attention: nn.Module, tokens: Tensor, stay: list[int], count: int) -> Tensor:
    """Bolya and Hoffman's merging of one picture's tokens (n, c), around an attention, token by token."""
    if not stay:
        return attention(tokens[None], tokens[None])[0]
    others = [token for token in range(len(tokens)) if token not in stay]
    partner: dict[int, int] = {}
    likeness: dict[int, float] = {}
    for token in others:
        cosines = [float(torch.cosine_similarity(tokens[token], tokens[each], dim=0)) for each in stay]
        likeness[token] = max(cosines)
        partner[token] = stay[cosines.index(likeness[token])]
    merged = sorted(others, key=lambda token: -likeness[token])[:count]
    groups = [
        [token] + [each for each in merged if partner[each] == token]
        for token in range(len(tokens))
        if token not in merged
    ]
    means = torch.stack([tokens[group].mean(0) for group in groups])[None]
    result = torch.empty_like(tokens)
    for group, answer in zip(groups, attention(means, means)[0], strict=True):
        result[group] = answer
    return result


@settings(max_examples=15)
@given(
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    ratio=st.sampled_from([0.1, 0.25, 0.5, 0.75]),
    seed=st.integers(0, 9),
)
@example(height=4, width=6, ratio=0.5, seed=0)
@example(height=5, width=3, ratio=0.75, seed=1)
@example(height=1, width=6, ratio=0.75, seed=1)
def test_it_is_the_papers_definition(height: int, width: int, ratio: float, seed: int) -> None:
    attention = CrossAttention(8, 8, 2).double()
    layer = MergingAttention(attention, ratio, torch.Generator().manual_seed(seed))
    layer.size = (height, width)
    x = normal(2, height * width, 8, seed=seed).double()
    kept = x.clone()
    stay = draw_tokens(height, width, torch.Generator().manual_seed(seed))[0].tolist()
    count = round(ratio * height * width)
    for ours, tokens in zip(layer(x, x), x, strict=True):
        torch.testing.assert_close(ours, attend_merged(attention, tokens, stay, count))
    assert torch.equal(x, kept), "the input was written to"


@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_one_token_of_each_block_stays(height: int, width: int, seed: int) -> None:
    stay, others = draw_tokens(height, width, torch.Generator().manual_seed(seed))
    y, x = stay // width, stay % width
    blocks = sorted(zip((y // 2).tolist(), (x // 2).tolist(), strict=True))
    assert blocks == [(row, column) for row in range(height // 2) for column in range(width // 2)]
    assert sorted([*stay.tolist(), *others.tolist()]) == list(range(height * width))


def test_any_of_the_four_can_stay() -> None:
    stay, _ = draw_tokens(64, 64, torch.Generator().manual_seed(0))
    places = torch.bincount(stay // 64 % 2 * 2 + stay % 2, minlength=4)
    assert (places > 200).all(), "of 1024, in each of the four places of a block"


def test_equal_tokens_lose_nothing() -> None:
    """Where every other token equals one that stays, merging them is exact but for how much each weighs."""
    stay, others = torch.tensor([0, 3]), torch.tensor([1, 2])
    x = normal(1, 2, 8)[:, [0, 0, 1, 1]]
    merging = merge_similar(x, stay, others, 2)
    assert merging.into.tolist() == [[0, 0, 1, 1]]
    assert torch.equal(merging.merge(x), x[:, [0, 2]])
    assert torch.equal(merging.unmerge(merging.merge(x)), x)


def test_what_is_not_finite_stays_so() -> None:
    layer = MergingAttention(CrossAttention(8, 8, 2), 0.5, torch.Generator())
    layer.size = (4, 4)
    x = normal(1, 16, 8)
    x[0, 5, 0] = float("nan")
    assert not layer(x, x).isfinite().all()


# In the network


def test_nothing_merged_is_the_network_itself() -> None:
    unet = made()
    assert merging_tokens(unet, 0.0) is unet
    without = made(replace(CONFIG, attention_levels=(False, False)))
    assert merging_tokens(without, 0.5) is without


@pytest.mark.parametrize(
    ("levels", "merging"),
    [((True, True), {(12, 10): 5}), ((False, True), {(6, 5): 5}), ((True, False), {(12, 10): 5})],
)
def test_the_largest_maps_that_attend(
    levels: tuple[bool, ...], merging: dict[tuple[int, int], int]
) -> None:
    unet = made(replace(CONFIG, attention_levels=levels))
    network = merging_tokens(unet, 0.5)
    network(*inputs())
    sizes = [each.size for each in network.modules() if isinstance(each, MergingAttention)]
    assert {size: sizes.count(size) for size in sizes} == merging


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75])
def test_attention_sees_fewer_tokens(ratio: float) -> None:
    unet = made()
    seen: list[int] = []
    for each in unet.modules():
        if isinstance(each, CrossAttention) and each.to_k.in_features == each.to_q.in_features == 32:
            each.register_forward_pre_hook(lambda _, args: seen.append(args[1].shape[1]))
    merging_tokens(unet, ratio)(*inputs())
    assert seen == [120 - round(120 * ratio)] * 5


def test_the_network_itself_stays_as_it_is() -> None:
    unet = made()
    whole = unet(*inputs())
    network = merging_tokens(unet, 0.5)
    assert not torch.allclose(network(*inputs()), whole, atol=1e-3)
    assert torch.equal(unet(*inputs()), whole)
    assert not any(isinstance(each, MergingTransformer) for each in unet.modules())
    assert {id(each) for each in network.parameters()} == {id(each) for each in unet.parameters()}


def test_no_graph_of_the_whole_network_is_replayed() -> None:
    unet = made()
    unet.__class__ = GraphedUNet
    assert type(merging_tokens(unet, 0.5)) is UNet
    assert type(unet) is GraphedUNet


def test_it_says_much_the_same() -> None:
    unet = made()
    whole = unet(*inputs())
    errors = [relative_error(merging_tokens(unet, ratio)(*inputs()), whole) for ratio in (0.1, 0.5, 0.75)]
    assert 0 < errors[0] < errors[1] < errors[2] < 0.3


def test_a_walk_can_be_walked_again() -> None:
    """Other tokens stay at each call, the same ones in each walk."""
    unet = made()
    walks = [merging_tokens(unet, 0.5) for _ in range(2)]
    first, second = ([network(*inputs()) for _ in range(2)] for network in walks)
    assert all(map(torch.equal, first, second))
    assert not torch.allclose(first[0], first[1], atol=1e-4)


def test_a_picture_is_the_same_alone_and_in_a_batch() -> None:
    unet = made()
    together = merging_tokens(unet, 0.5)(*inputs(3))
    for index in range(3):
        alone = merging_tokens(unet, 0.5)(*(each[index : index + 1] for each in inputs(3)))
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("names", [["shared-prefix"], ["tiled-attention"], ALL], ids=",".join)
def test_with_the_engine(names: list[str]) -> None:
    latents, timesteps, _ = inputs(1, (16, 18))
    guided = latents.repeat(2, 1, 1, 1), timesteps.repeat(2), normal(2, 7, 24, seed=3)
    unet = made()
    plain = [merging_tokens(unet, 0.5)(*guided), unet(*guided)]
    optimise([unet], names)
    network = merging_tokens(unet, 0.5)
    assert relative_error(network(*guided), plain[0]) < 1e-4 < relative_error(plain[1], plain[0])
    assert relative_error(unet(*guided), plain[1]) < 1e-4


def test_with_deep_cache() -> None:
    unet = made()
    cached = DeepCache(merging_tokens(unet, 0.5), 2)
    torch.testing.assert_close(cached(*inputs()), merging_tokens(unet, 0.5)(*inputs()))
    network = cast(UNet, cached.unet)
    seen: list[Tensor] = []
    for each in network.modules():
        if isinstance(each, MergingAttention):
            each.register_forward_hook(lambda *call: seen.append(call[2]))
    cached(*inputs(seed=1))
    assert len(seen) == 1, "the last layer alone"


# In a request


@pytest.fixture(scope="module")
def storybook() -> Pipeline:
    return gesso.load()


def pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image) for image in images]).astype(float)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-10)))


def test_a_request_merges_and_says_so(storybook: Pipeline, tmp_path: Path) -> None:
    wanted = GenerationRequest("a red house", steps=4, seed=1, token_merging=0.5)
    merged = storybook(wanted)
    whole = storybook(replace(wanted, token_merging=0.0))
    assert 15 < psnr(pixels(merged.images), pixels(whole.images)) < 60, "another picture, of the same"
    path = tmp_path / "house.png"
    merged.images[0].save(path, pnginfo=png_info(merged.request, storybook.name))
    again = storybook(read_request(path).request())
    assert np.array_equal(pixels(again.images), pixels(merged.images))
    fields, unknown = from_parameters(to_parameters(merged.request, storybook.name))
    assert fields["token_merging"] == 0.5
    assert "Token merging ratio" not in unknown


def test_pictures_are_the_same_alone_and_in_a_batch(storybook: Pipeline) -> None:
    wanted = GenerationRequest("a red house", steps=4, seed=1, count=3, token_merging=0.5)
    alone = storybook(wanted).images
    together = storybook(replace(wanted, batch_size=3)).images
    assert psnr(pixels(together), pixels(alone)) >= 45


@pytest.mark.parametrize(
    "fields",
    [
        {"deep_cache": 2},
        {"tiling": "both"},
        {"pag_scale": 1.0, "pag_layers": "down.2,mid"},
        {"sag_scale": 0.5},
        {"freeu": (1.2, 1.4, 0.9, 0.2)},
        {"hires_scale": 1.5},
        {"width": 72, "height": 40},
    ],
    ids=str,
)
def test_beside_what_else_changes_the_network(storybook: Pipeline, fields: dict[str, Any]) -> None:
    wanted = GenerationRequest("a red house", steps=3, seed=1, **fields)
    whole = pixels(storybook(wanted).images)
    merged = pixels(storybook(replace(wanted, token_merging=0.25)).images)
    assert 15 < psnr(merged, whole) < 60


def test_with_weights_that_come_by_blocks(storybook: Pipeline) -> None:
    wanted = GenerationRequest("a red house", steps=2, seed=1, token_merging=0.5)
    low = gesso.load(low_memory=True)
    assert psnr(pixels(low(wanted).images), pixels(storybook(wanted).images)) >= 45


@pytest.mark.parametrize("ratio", [-0.1, 0.76, float("nan"), True, "0.5"])
def test_ratios_that_are_refused(ratio: Any) -> None:
    with pytest.raises(RequestError) as refused:
        GenerationRequest("a red house", token_merging=ratio)
    assert refused.value.where == "token_merging"


def test_more_than_can_be_merged_in_another_programs_picture() -> None:
    fields, _ = from_parameters("a house\nSteps: 20, Seed: 7, Size: 512x512, Token merging ratio: 0.9")
    assert fields["token_merging"] == 0.75
