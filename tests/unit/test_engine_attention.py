"""Attention in tiles is attention: judged in float64, beside PyTorch's own, and inside the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from gesso.config import AutoencoderConfig, UNetConfig
from gesso.engine.cpu import attention, heap
from gesso.engine.cpu.attention import KEYS, STRIPS
from gesso.engine.cpu.attention_tiles import STRIP
from gesso.engine.cpu.tiled_attention import (
    TiledCachedCrossAttention,
    TiledCrossAttention,
    attend,
)
from gesso.engine.engine import optimise, switch_off
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.models.attention import CrossAttention
from gesso.models.autoencoder import Autoencoder
from gesso.models.unet import UNet

ALL = [name for name, each in OPTIMISATIONS.items() if "cpu" in each.devices]

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as linear layers leave it": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "head by head": lambda x: x.contiguous(),
    "every other row": lambda x: x.repeat_interleave(2, dim=2)[:, :, ::2],
    "a third of a wider product": lambda x: torch.cat([x] * 3, dim=3)[..., x.shape[3] : 2 * x.shape[3]],
    "expanded": lambda x: x[:1, :, :, :].expand_as(x),
}

widths = st.integers(1, 20).map(lambda eighths: 8 * eighths)
lengths = st.integers(1, 3 * KEYS // 2)


@pytest.fixture(autouse=True)
def no_grad(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As pictures are drawn; and the memory of the test run is left as it is."""
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: True)
    with torch.no_grad():
        yield


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative_error(ours: Tensor, judge: Tensor) -> float:
    return float((ours - judge).norm() / judge.norm())


def triple(b: int, heads: int, n: int, m: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    return normal(b, heads, n, d), normal(b, heads, m, d, seed=1), normal(b, heads, m, d, seed=2)


# The function


@settings(max_examples=40, deadline=None)
@given(
    b=st.integers(1, 2),
    heads=st.integers(1, 3),
    n=st.integers(1, 2 * STRIP + 1),
    m=lengths,
    d=widths,
    largest=st.sampled_from([0.0, 1e-3, 1.0, 10.0, 100.0]),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
@example(b=1, heads=1, n=1, m=1, d=8, largest=1.0, layout="head by head")
@example(b=2, heads=2, n=STRIPS * STRIP + 1, m=KEYS + 1, d=16, largest=10.0, layout="head by head")
@example(b=1, heads=1, n=STRIPS * STRIP + 9, m=2 * KEYS, d=512, largest=1.0, layout="head by head")
def test_it_is_attention(b: int, heads: int, n: int, m: int, d: int, largest: float, layout: str) -> None:
    """Logits reach from minus to plus the largest; those far below the highest vanish, as they should."""
    q, k, v = (LAYOUTS[layout](x) for x in triple(b, heads, n, m, d))
    logits = q.double() @ k.double().mT / d**0.5
    q = q * (largest / logits.abs().max())
    judge = scaled_dot_product_attention(q.double(), k.double(), v.double())
    kept = [x.clone() for x in (q, k, v)]
    y = attention.attend(q, k, v)
    assert y.shape == judge.shape
    assert relative_error(y.double(), judge) <= 1e-5
    assert all(map(torch.equal, (q, k, v), kept)), "an input was written to"


def test_it_is_as_exact_as_torch() -> None:
    q, k, v = triple(2, 4, 100, 300, 40)
    judge = scaled_dot_product_attention(q.double(), k.double(), v.double())
    theirs = relative_error(scaled_dot_product_attention(q, k, v).double(), judge)
    assert relative_error(attention.attend(q, k, v).double(), judge) <= 3 * theirs


def test_logits_that_grow_from_block_to_block() -> None:
    """Every block of keys has the largest logit so far: what earlier ones gave has to shrink each time."""
    q, k, v = triple(1, 1, 30, 4 * KEYS, 8)
    k = k * 0.01 + torch.linspace(-20, 20, 4 * KEYS)[:, None]
    q = q * 0.01 + 2
    judge = scaled_dot_product_attention(q.double(), k.double(), v.double())
    assert relative_error(attention.attend(q, k, v).double(), judge) <= 1e-5


def test_the_heads_of_a_row_lie_side_by_side() -> None:
    y = attend(*triple(2, 3, 5, 7, 8))
    assert y.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["q", "k", "v"])
@pytest.mark.parametrize("row", [0, 90])
def test_nothing_hides_what_is_not_finite(where: str, poison: float, row: int) -> None:
    """What PyTorch's function makes not finite is so here, and the rest is right."""
    q, k, v = triple(1, 2, 100, 200, 16)
    {"q": q, "k": k, "v": v}[where][0, 1, row, 3] = poison
    theirs, ours = scaled_dot_product_attention(q, k, v), attention.attend(q, k, v)
    assert not theirs.isfinite().all()
    assert torch.equal(ours.isfinite(), theirs.isfinite())
    finite = theirs.isfinite()
    assert relative_error(ours[finite], theirs[finite]) <= 1e-5


# Where it stands in


def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, ...]]:
    calls: list[tuple[Tensor, ...]] = []
    original = attention.attend

    def call(*operands: Tensor) -> Tensor:
        calls.append(operands)
        return original(*operands)

    monkeypatch.setattr(attention, "attend", call)
    return calls


def some_of_the_heads(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return q, k[:, :1], v[:, :1]


UNSUITED: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]] = {
    "half precision": lambda q, k, v: (q.bfloat16(), k.bfloat16(), v.bfloat16()),
    "float64": lambda q, k, v: (q.double(), k.double(), v.double()),
    "odd width": lambda q, k, v: (q[..., :12], k[..., :12], v[..., :12]),
    "narrower values": lambda q, k, v: (q, k, v[..., :8]),
    "heads in common": some_of_the_heads,
    "no queries": lambda q, k, v: (q[:, :, :0], k, v),
}


@pytest.mark.parametrize("case", UNSUITED)
def test_torch_attends_where_the_kernel_cannot(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = kernel_calls(monkeypatch)
    q, k, v = UNSUITED[case](*triple(2, 2, 9, 7, 16))
    assert torch.equal(attend(q, k, v), scaled_dot_product_attention(q, k, v))
    assert not calls


def test_gradients_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = kernel_calls(monkeypatch)
    layer = CrossAttention(32, 32, 2)
    gradients = []
    for swapped in (CrossAttention, TiledCrossAttention):
        layer.__class__ = swapped
        layer.zero_grad()
        with torch.enable_grad():
            layer(normal(2, 9, 32), normal(2, 7, 32, seed=1)).square().sum().backward()
        gradients.append(
            [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
        )
    assert not calls
    assert all(map(torch.equal, *gradients))
    assert layer(normal(2, 9, 32), normal(2, 7, 32, seed=1)).isfinite().all()
    assert len(calls) == 1, "without gradients the kernel stands in"


# In the models

UNET = UNetConfig(
    block_channels=(32, 64),
    layers_per_block=1,
    attention_levels=(True, False),
    heads=2,
    context_dim=24,
    groups=8,
)


def unet_and_inputs() -> tuple[UNet, tuple[Tensor, Tensor, Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet(UNET).eval().requires_grad_(False)
    latents = normal(1, 4, 16, 17).repeat(2, 1, 1, 1)
    return unet, (latents, torch.tensor([501.0, 501.0]), normal(2, 77, 24, seed=1))


def attentions(model: nn.Module) -> list[type]:
    return [type(each) for each in model.modules() if isinstance(each, CrossAttention)]


@pytest.mark.parametrize("others", [[], ["cached-context"], ["shared-prefix"], ALL], ids=",".join)
@pytest.mark.parametrize("order", ["together", "first", "last"])
def test_beside_other_optimisations(others: list[str], order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is switched on first: every attention of the UNet takes the kernel."""
    unet, inputs = unet_and_inputs()
    plain, plain_classes = unet(*inputs), attentions(unet)
    mine = ["tiled-attention"]
    rest = [name for name in others if name not in mine]
    for names in {"together": [rest + mine], "first": [mine, rest], "last": [rest, mine]}[order]:
        optimise([unet], names)
    reads_context = TiledCachedCrossAttention if "cached-context" in others else TiledCrossAttention
    assert set(attentions(unet)) == {TiledCrossAttention, reads_context}
    calls = kernel_calls(monkeypatch)
    for _ in range(2):  # the second time with remembered keys
        assert relative_error(unet(*inputs), plain) <= 1e-5
    assert len(calls) == 2 * len(plain_classes)
    switch_off([unet])
    assert attentions(unet) == plain_classes
    assert torch.equal(unet(*inputs), plain)


def test_not_in_the_autoencoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its single, wide head gains nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = Autoencoder(AutoencoderConfig(block_channels=(32, 40), layers_per_block=1, groups=8))
    latents = normal(1, 4, 9, 13)
    plain = autoencoder.decode(latents)
    optimise([autoencoder], ["tiled-attention"])
    calls = kernel_calls(monkeypatch)
    assert torch.equal(autoencoder.decode(latents), plain)
    assert not calls
