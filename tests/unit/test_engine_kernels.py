"""Each kernel of the CPU engine computes the function that it replaces, judged in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm, interpolate, silu

from gesso.engine.cpu import winograd
from gesso.engine.cpu.fused_resnet import FusedResnetBlock, FusedUpsample
from gesso.engine.cpu.group_norm import group_norm_silu
from gesso.engine.cpu.packed_conv import PACKS, PackedConv2d
from gesso.engine.cpu.winograd_conv import WinogradConv2d, suits
from gesso.models.resnet import ResnetBlock, Upsample

ROUNDING = 2e-6
"""Relative error of a float32 sum of some hundred products; Winograd's transforms cost a digit of it."""

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "rows": lambda x: x.contiguous(),
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "every other column": lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
    "some of the channels": lambda x: torch.cat([x, x], dim=1)[:, : x.shape[1]],
    "turned": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
}

sides = st.integers(1, 20)
channels = st.integers(1, 40)
batches = st.integers(1, 3)
layouts = st.sampled_from(sorted(LAYOUTS))
tiles = st.sampled_from([2, 4])
few = settings(max_examples=25)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative_error(ours: Tensor, judge: Tensor) -> float:
    return float((ours - judge).norm() / judge.norm().clamp(min=1e-30))


# Winograd's convolution


@few
@given(
    b=batches, c=channels, o=channels, h=sides, w=sides, tile=tiles, layout=layouts, doubled=st.booleans()
)
@example(b=1, c=1, o=1, h=1, w=1, tile=4, layout="rows", doubled=False)
def test_winograd_is_a_convolution(
    b: int, c: int, o: int, h: int, w: int, tile: int, layout: str, doubled: bool
) -> None:
    x, weight, bias = normal(b, c, h, w), normal(o, c, 3, 3, seed=1) / (9 * c) ** 0.5, normal(b, o, seed=2)
    filters = winograd.transform_weight(weight, tile)
    y = winograd.conv3x3(LAYOUTS[layout](x), filters, bias, doubled=doubled)
    seen = interpolate(x, scale_factor=2.0, mode="nearest") if doubled else x
    judge = conv2d(seen.double(), weight.double(), padding=1) + bias.double()[:, :, None, None]
    assert y.shape == judge.shape
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(y, judge) <= ROUNDING


@pytest.mark.parametrize("tile", [2, 4])
def test_winograd_in_several_portions(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last portion is smaller, and portions end within a picture."""
    x, weight, bias = normal(3, 5, 19, 9), normal(7, 5, 3, 3, seed=1), normal(7, seed=2)
    whole = winograd.conv3x3(x, winograd.transform_weight(weight, tile), bias)
    monkeypatch.setattr(winograd, "WORKSPACE", 4 * (tile + 2) ** 2 * 40 * 2)
    parts = winograd.conv3x3(x, winograd.transform_weight(weight, tile), bias)
    assert relative_error(parts, whole.double()) <= 1e-6
    assert relative_error(parts, conv2d(x.double(), weight.double(), bias.double(), padding=1)) <= ROUNDING


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_visible(tile: int, odd: float) -> None:
    x, weight = normal(1, 4, 9, 9), normal(4, 4, 3, 3, seed=1)
    x[0, 0, 4, 4] = odd
    y = winograd.conv3x3(x, winograd.transform_weight(weight, tile), torch.zeros(4))
    plain = conv2d(x, weight, padding=1)
    assert not plain.isfinite().all()
    assert not y[~plain.isfinite()].isfinite().any()


@pytest.mark.parametrize("shape", [(0, 4, 8, 8), (1, 4, 0, 8), (1, 4, 8, 0)])
def test_empty_maps(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape)
    filters = winograd.transform_weight(normal(6, 4, 3, 3), 4)
    assert winograd.conv3x3(x, filters, torch.zeros(6)).shape == (shape[0], 6, *shape[2:])
    assert group_norm_silu(x, 2, torch.ones(4), torch.zeros(4), 1e-5).shape == shape


# GroupNorm and SiLU


@few
@given(
    b=batches,
    groups=st.integers(1, 5),
    width=st.integers(1, 9),
    h=sides,
    w=sides,
    mean=st.sampled_from([0.0, -3.0, 100.0, 1e4]),
    layout=layouts,
)
def test_group_norm_silu(b: int, groups: int, width: int, h: int, w: int, mean: float, layout: str) -> None:
    """Where the mean is large, the values themselves have lost digits: PyTorch's error grows alike."""
    assume(width * h * w > 1)  # of a single value there is no deviation
    c = groups * width
    x, weight, bias = normal(b, c, h, w) + mean, normal(c, seed=1), normal(c, seed=2)
    y = group_norm_silu(LAYOUTS[layout](x), groups, weight, bias, 1e-5)
    judge = silu(group_norm(x.double(), groups, weight.double(), bias.double(), 1e-5))
    # a mean and a scale are rounded to float32, which matters by as much as values exceed their deviation
    spread = x.double().unflatten(1, (groups, -1)).var((2, 3, 4), correction=0).add(1e-5).sqrt()
    assert relative_error(y, judge) <= ROUNDING + 5e-7 * float(x.abs().max() / spread.min())
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mean", [0.0, 30.0, 1000.0, 10_000.0])
def test_group_norm_silu_is_as_exact_as_pytorch(mean: float) -> None:
    x, ones, zeros = normal(2, 64, 32, 32) + mean, torch.ones(64), torch.zeros(64)
    judge = silu(group_norm(x.double(), 8))
    ours = relative_error(group_norm_silu(x, 8, ones, zeros, 1e-5), judge)
    assert ours <= 2 * relative_error(silu(group_norm(x, 8)), judge) + 1e-7


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
@pytest.mark.parametrize("pixel", [0, 5])
def test_group_norm_silu_hides_nothing(odd: float, pixel: int) -> None:
    x = normal(2, 6, 3, 3)
    x[0, 2, pixel // 3, pixel % 3] = odd
    y = group_norm_silu(x, 3, torch.ones(6), torch.zeros(6), 1e-5)
    torch.testing.assert_close(y.isfinite(), group_norm(x, 3).isfinite())


def test_a_flat_group_is_zero() -> None:
    y = group_norm_silu(torch.full((1, 4, 5, 5), 7.0), 2, torch.ones(4), torch.zeros(4), 1e-5)
    assert y.abs().max() <= 1e-3  # 7 · scale and its opposite, rounded, where scale is 1/√eps = 316


def test_silu_over_its_whole_range() -> None:
    """The kernel's exponential, over biases of a map of zeros: from where SiLU vanishes to the identity."""
    bias = torch.cat([torch.linspace(-80, 100, 4000), torch.tensor([0.0, 1e-30, -1e-30, 1e4, 1e30, -1e30])])
    y = group_norm_silu(torch.zeros(1, len(bias), 2, 2), 1, torch.ones(len(bias)), bias, 1e-5)
    torch.testing.assert_close(y[0, :, 1, 1].double(), silu(bias.double()), rtol=1e-6, atol=2e-8)
    assert not y[0, bias > -80].eq(0).logical_and(bias[bias > -80, None, None] != 0).any()


# The modules that use them


@contextmanager
def counted(owner: Any, name: str) -> Iterator[list[str]]:
    """Every call of ``owner.name`` within, as an entry of the list."""
    original, calls = getattr(owner, name), []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        yield calls


def fast_conv(kind: type[nn.Conv2d], c: int = 32, o: int = 40, **options: Any) -> Any:
    """A convolution of that class, with gradients off, as engines meet them."""
    conv = nn.Conv2d(c, o, 3, **{"padding": 1, **options}).requires_grad_(False)
    with torch.no_grad():
        conv.weight.copy_(normal(*conv.weight.shape, seed=3) / 17)
    conv.__class__ = kind
    return conv


def judge_of(conv: nn.Conv2d, x: Tensor) -> Tensor:
    bias = None if conv.bias is None else conv.bias.double()
    geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)
    return conv2d(x.double(), conv.weight.double(), bias, *cast("Any", geometry))


@pytest.mark.parametrize(("side", "transforms"), [(15, 0), (16, 1), (31, 1), (32, 1), (33, 1)])
def test_winograd_conv_takes_it_where_the_map_is_large(side: int, transforms: int) -> None:
    conv, x = fast_conv(WinogradConv2d), normal(2, 32, side, side + 3)
    with counted(winograd, "conv3x3") as calls:
        assert relative_error(conv(x), judge_of(conv, x)) <= ROUNDING
    assert len(calls) == transforms


@pytest.mark.parametrize("kind", [WinogradConv2d, PackedConv2d])
def test_the_prepared_weight_follows_the_weight(kind: type[nn.Conv2d]) -> None:
    conv, x = fast_conv(kind), normal(1, 32, 32, 32)

    def holds() -> bool:
        return relative_error(conv(x), judge_of(conv, x)) <= ROUNDING

    assert holds()
    conv.weight.mul_(-2)
    assert holds(), "written in place"
    with torch.inference_mode():
        conv.weight.add_(1)
    assert holds(), "written in place, in inference mode"
    conv.weight.data = normal(*conv.weight.shape, seed=4)
    assert holds(), "other data"
    conv.load_state_dict({"weight": normal(40, 32, 3, 3, seed=5), "bias": normal(40)})
    assert holds(), "loaded"
    for seed in range(40):  # memory that the first weight left may be the last one's
        conv.weight = nn.Parameter(normal(40, 32, 3, 3, seed=seed), requires_grad=False)
        if seed % 2:
            assert holds(), "replaced"


@pytest.mark.parametrize("kind", [WinogradConv2d, PackedConv2d])
def test_the_weight_is_prepared_once(kind: type[nn.Conv2d]) -> None:
    conv, x = fast_conv(kind), normal(1, 32, 32, 32)
    conv(x)
    before = conv.packed or conv.transformed
    conv(x)
    assert (conv.packed or conv.transformed) is before is not None


@pytest.mark.skipif(not PACKS, reason="this build of PyTorch packs no weights")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": 0, "stride": 2},
        {"bias": False},
        {"groups": 4},
        {"dilation": 2, "padding": 2},
    ],
)
def test_packed_conv(options: dict[str, Any]) -> None:
    """The weight is packed for the first input; later ones may have other sizes and layouts."""
    conv = fast_conv(PackedConv2d, **options)
    for seed, (shape, layout) in enumerate(
        [((1, 32, 9, 9), "rows"), ((2, 32, 13, 7), "channels-last"), ((3, 32, 5, 20), "every other column")]
    ):
        x = normal(*shape, seed=seed)
        assert relative_error(conv(LAYOUTS[layout](x)), judge_of(conv, x)) <= ROUNDING
    assert conv.packed is not None


@pytest.mark.parametrize("kind", [WinogradConv2d, PackedConv2d])
def test_gradients_take_the_plain_way(kind: type[nn.Conv2d]) -> None:
    conv, plain = fast_conv(kind, c=32, o=32), nn.Conv2d(32, 32, 3, padding=1)
    plain.load_state_dict(conv.state_dict())
    conv.requires_grad_(True)
    x, y = (normal(1, 32, 32, 32).requires_grad_() for _ in range(2))
    conv(x).square().sum().backward()
    plain(y).square().sum().backward()
    assert torch.equal(cast("Tensor", x.grad), cast("Tensor", y.grad))
    for ours, theirs in zip(conv.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, cast("Tensor", theirs.grad))


def test_gradients_of_the_shift_and_the_input_alone() -> None:
    conv = fast_conv(WinogradConv2d, o=32)
    x, shift = normal(1, 32, 32, 32).requires_grad_(), normal(1, 32).requires_grad_()
    conv.convolve(x, shift=shift).sum().backward()
    torch.testing.assert_close(cast("Tensor", shift.grad), torch.full((1, 32), 32.0 * 32))
    assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", [WinogradConv2d, PackedConv2d])
def test_other_precisions_take_the_plain_way(kind: type[nn.Conv2d], dtype: torch.dtype) -> None:
    conv, x = fast_conv(kind).to(dtype), normal(1, 32, 32, 32).to(dtype)
    assert torch.equal(conv(x), conv2d(x, conv.weight, conv.bias, padding=1))


@few
@given(
    h=st.integers(7, 20),
    w=st.integers(7, 20),
    b=batches,
    shifted=st.booleans(),
    layout=layouts,
)
def test_winograd_conv_doubles_and_shifts(h: int, w: int, b: int, shifted: bool, layout: str) -> None:
    conv, x = fast_conv(WinogradConv2d), normal(b, 32, h, w)
    shift = normal(b, 40, seed=6) if shifted else None
    y = conv.convolve(LAYOUTS[layout](x), doubled=True, shift=shift)
    judge = judge_of(conv, interpolate(x, scale_factor=2.0, mode="nearest"))
    judge = judge if shift is None else judge + shift.double()[:, :, None, None]
    assert relative_error(y, judge) <= ROUNDING


@pytest.mark.parametrize("size", [None, (34, 26), (33, 26), (34, 25), (33, 25)])
def test_upsample_to_even_and_odd_sizes(size: tuple[int, int] | None) -> None:
    upsample = Upsample(32).requires_grad_(False)
    x = normal(2, 32, 17, 13)
    plain = upsample(x, size)
    upsample.__class__, upsample.conv.__class__ = FusedUpsample, WinogradConv2d
    with counted(winograd, "conv3x3") as calls:
        assert relative_error(upsample(x, size), plain) <= ROUNDING
    assert calls


@pytest.mark.parametrize("time_dim", [None, 24])
@pytest.mark.parametrize("out_channels", [32, 48])
@pytest.mark.parametrize("conv_class", [nn.Conv2d, PackedConv2d, WinogradConv2d])
def test_resnet_block(time_dim: int | None, out_channels: int, conv_class: type[nn.Conv2d]) -> None:
    block = ResnetBlock(32, out_channels, time_dim=time_dim, groups=8, eps=1e-5).requires_grad_(False)
    x = normal(2, 32, 17, 20)
    kept = x.clone()
    for times in (1, 2):  # one time embedding for all pictures, or one each
        t = None if time_dim is None else normal(times, time_dim, seed=7)
        block.__class__ = ResnetBlock
        plain = block(x, t)
        block.__class__ = FusedResnetBlock
        block.conv1.__class__ = block.conv2.__class__ = conv_class
        assert relative_error(block(x, t), plain) <= 2 * ROUNDING
        block.conv1.__class__ = block.conv2.__class__ = nn.Conv2d
    assert torch.equal(x, kept), "the input was written to"


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1, "padding": 0},
        {"kernel_size": 5},
        {"stride": 2},
        {"dilation": 2},
        {"groups": 2},
        {"padding": 0},
        {"padding": "same"},
        {"padding_mode": "reflect"},
        {"bias": False},
        {"in_channels": 31},
        {"out_channels": 4},
    ],
    ids=str,
)
def test_convolutions_that_winograd_does_not_compute(options: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"in_channels": 32, "out_channels": 32, "kernel_size": 3, "padding": 1}
    assert suits(nn.Conv2d(**usual))
    assert not suits(nn.Conv2d(**{**usual, **options}))
