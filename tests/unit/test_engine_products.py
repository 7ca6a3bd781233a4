"""Products in tiles are products: judged in float64, and inside the layers that take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu
from torch.nn.functional import linear as torch_linear

from gesso.engine.cpu import products
from gesso.engine.cpu.product_tiles import PANEL, ROWS
from gesso.engine.cpu.products import BLOCK, DEPTH, WIDEST, gated_linear, linear, multiply_stack, shares
from gesso.engine.cpu.tiled_linear import (
    COLUMNS,
    FEWEST_ROWS,
    TiledGEGLU,
    TiledLinear,
    TiledPointwiseConv2d,
    suits,
)
from gesso.models.attention import GEGLU

ROUNDING = 5e-6
"""Relative error of a float32 sum of some hundred products, added one after the other."""

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "rows": lambda x: x,
    "every other column": lambda x: x.repeat_interleave(2, dim=-1)[..., ::2],
    "every other row": lambda x: x.repeat_interleave(2, dim=-2)[..., ::2, :],
    "columns": lambda x: x.mT.contiguous().mT,
    "expanded": lambda x: x[..., :1, :].expand_as(x),
}

numbers = st.integers(1, 90).map(lambda eighths: 8 * eighths)
columns = st.integers(1, 2 * WIDEST + 1).map(lambda panels: panels * PANEL)
layouts = st.sampled_from(sorted(LAYOUTS))


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative_error(ours: Tensor, judge: Tensor) -> float:
    return float((ours - judge).norm() / judge.norm().clamp(min=1e-30))


def gated(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    value, gate = torch_linear(x, weight, bias).chunk(2, dim=-1)
    return value * gelu(gate)


@settings(max_examples=30)
@given(
    m=st.integers(1, 2 * BLOCK + 1),
    k=numbers,
    n=columns,
    layout=layouts,
    biased=st.booleans(),
    b=st.integers(1, 2),
)
@example(m=1, k=8, n=PANEL, layout="rows", biased=False, b=1)
@example(m=BLOCK + ROWS + 1, k=DEPTH + 8, n=PANEL, layout="rows", biased=True, b=1)
@example(m=ROWS, k=2 * DEPTH, n=(WIDEST + 1) * PANEL, layout="rows", biased=True, b=2)
def test_linear(m: int, k: int, n: int, layout: str, biased: bool, b: int) -> None:
    x, weight = LAYOUTS[layout](normal(b, m, k)), LAYOUTS[layout](normal(n, k, seed=1))
    bias = normal(n, seed=2) if biased else None
    kept = x.clone()
    judge = torch_linear(x.double(), weight.double(), None if bias is None else bias.double())
    assert relative_error(linear(x, weight, bias), judge) <= ROUNDING
    assert torch.equal(x, kept), "the input was written to"


@settings(max_examples=20)
@given(
    m=st.integers(1, BLOCK + 5),
    k=numbers,
    n=columns,
    biased=st.booleans(),
    size=st.sampled_from([0.01, 1.0, 30.0]),
)
@example(m=BLOCK + 1, k=DEPTH + 8, n=WIDEST * PANEL, biased=True, size=1.0)
def test_gated_linear(m: int, k: int, n: int, biased: bool, size: float) -> None:
    """Gates from nearly none to all or nothing."""
    x, weight = normal(m, k), normal(2 * n, k, seed=1) * size / k**0.5
    bias = normal(2 * n, seed=2) if biased else None
    judge = gated(x.double(), weight.double(), None if bias is None else bias.double())
    assert relative_error(gated_linear(x, weight, bias), judge) <= ROUNDING


@settings(max_examples=20)
@given(
    p=st.integers(1, 4),
    m=st.integers(1, BLOCK + 5),
    k=st.integers(1, 2 * DEPTH),
    panels=st.integers(1, 2 * WIDEST + 1),
)
@example(p=36, m=BLOCK + 1, k=DEPTH + 3, panels=1)
def test_a_stack_of_products(p: int, m: int, k: int, panels: int) -> None:
    x, weight = normal(p, m, k), normal(p, k, panels * PANEL, seed=1)
    laid_out = weight.unflatten(2, (panels, PANEL)).transpose(1, 2).contiguous()
    assert relative_error(multiply_stack(x, laid_out), x.double() @ weight.double()) <= ROUNDING


def test_gates_of_every_size() -> None:
    """From where GELU is zero to where it is the gate itself, next to the exact one."""
    gate = torch.linspace(-12, 12, 4096).reshape(-1, PANEL)
    weight = torch.cat([torch.zeros(PANEL, PANEL), torch.eye(PANEL)])
    bias = torch.cat([torch.ones(PANEL), torch.zeros(PANEL)])
    error = gated_linear(gate, weight, bias) - gelu(gate.double())
    assert float((error.abs() / gate.abs().clamp(min=1)).max()) <= 5e-7


def test_extreme_gates() -> None:
    inf, nan = float("inf"), float("nan")
    gates = torch.tensor([-1e30, -200, -88, 0, 88, 200, 1e30, 3e38, inf, -inf, nan, 1, 2, 3, 4, 5])
    gates = gates.repeat(PANEL // len(gates))
    y = gated_linear(torch.zeros(1, 8), torch.zeros(2 * PANEL, 8), torch.cat([torch.ones(PANEL), gates]))
    torch.testing.assert_close(y[0], gelu(gates), equal_nan=True)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_nothing_hides_what_is_not_finite(poison: float) -> None:
    """It reaches its row, or its column, and no other."""
    x, weight = normal(2 * ROWS, 16), normal(2 * PANEL, 16, seed=1)
    for function, judge in ((linear, torch_linear), (gated_linear, gated)):
        sick = x.clone()
        sick[3, 5] = poison
        assert torch.equal(function(sick, weight).isfinite(), judge(sick, weight, None).isfinite())
    weight[PANEL + 1, 2] = poison
    assert not linear(x, weight)[:, PANEL + 1].isfinite().any()
    assert linear(x, weight)[:, :PANEL].isfinite().all()


@given(rows=st.integers(1, 20_000), panels=st.integers(1, 700), threads=st.integers(1, 256))
def test_shares_are_whole(rows: int, panels: int, threads: int) -> None:
    """Whole blocks by whole panels; as many as there are threads, as nearly as those can be had."""
    tall, wide = shares(rows, panels * PANEL, threads)
    assert tall % BLOCK == 0
    assert wide % PANEL == 0
    assert 0 < wide <= WIDEST * PANEL
    across, down = -(-panels * PANEL // wide), -(-rows // tall)
    assert 2 * across * down > min(threads, panels)


# Layers


def as_tiled(layer: Any, twin: type[nn.Module]) -> tuple[Any, Callable[[Tensor], Tensor]]:
    """A layer of the fast class, and what its plain class computes."""
    plain = type(layer)
    layer.requires_grad_(False).__class__ = twin
    return layer, lambda x: plain.forward(layer, x)


@pytest.mark.parametrize("layout", ["rows", "channels-last"])
def test_a_pointwise_convolution(layout: str) -> None:
    layer, plain = as_tiled(nn.Conv2d(24, 32, 1), TiledPointwiseConv2d)
    x = normal(2, 24, 9, 11)
    if layout == "channels-last":
        x = x.contiguous(memory_format=torch.channels_last)
    y = layer(x)
    assert relative_error(y, plain(x)) <= ROUNDING
    assert y.is_contiguous(memory_format=torch.channels_last)
    judge = conv2d(x.double(), layer.weight.double(), layer.bias.double())
    assert relative_error(y, judge) <= ROUNDING


@pytest.mark.parametrize(
    ("layer", "twin", "shape"),
    [
        (nn.Linear(24, 32), TiledLinear, (2, FEWEST_ROWS, 24)),
        (nn.Conv2d(24, 32, 1), TiledPointwiseConv2d, (1, 24, 8, FEWEST_ROWS // 8)),
        (GEGLU(24, 32), TiledGEGLU, (2, FEWEST_ROWS, 24)),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_where_the_plain_layer_computes(
    layer: nn.Module, twin: type[nn.Module], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In other precisions, where gradients are asked for, and for a few rows."""
    layer, plain = as_tiled(layer, twin)
    x = normal(*shape)
    assert relative_error(layer(x), plain(x)) <= ROUNDING

    def refuse(*_: object) -> Tensor:
        raise AssertionError("the kernel was called")

    monkeypatch.setattr(products, "linear", refuse)
    monkeypatch.setattr(products, "gated_linear", refuse)
    with pytest.raises(AssertionError):
        layer(x)
    few = x[..., :1] if x.ndim == 4 else x[:, :1]
    assert torch.equal(layer(few), plain(few))
    with torch.enable_grad():
        layer(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    layer.double()
    assert layer(x.detach().double()).dtype == torch.float64


def test_layers_of_other_sizes_stay_plain() -> None:
    assert suits(nn.Linear(24, COLUMNS))
    assert not suits(nn.Linear(25, COLUMNS))
    assert not suits(nn.Linear(24, COLUMNS + 8))
    assert suits(GEGLU(8, COLUMNS))
    assert not suits(GEGLU(8, COLUMNS // 2))
    usual: dict[str, Any] = {"in_channels": 8, "out_channels": COLUMNS, "kernel_size": 1}
    assert suits(nn.Conv2d(**usual))
    for other in ({"kernel_size": 3}, {"stride": 2}, {"padding": 1}, {"groups": 2}, {"out_channels": 4}):
        assert not suits(nn.Conv2d(**{**usual, **other}))
