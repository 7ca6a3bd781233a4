"""Graphs of whole calls: which are kept, what is copied, what ends them. A tape stands in for the GPU."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gesso.config import AutoencoderConfig, UNetConfig
from gesso.engine.cuda import graphed
from gesso.engine.cuda.graphs import Graphs
from gesso.engine.cuda.record import GpuRecorder, measured_convolutions
from gesso.engine.engine import optimise, switch_off
from gesso.models.autoencoder import Autoencoder
from gesso.models.unet import UNet

UNET = UNetConfig(
    block_channels=(8, 16),
    layers_per_block=1,
    attention_levels=(True, False),
    heads=2,
    context_dim=6,
    groups=4,
)


class Tape(TorchDispatchMode):
    """Notes every operation, and repeats them on the same memory, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for func, args, kwargs, result in self.calls:
            for place, value in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(place, Tensor) and place.data_ptr() != value.data_ptr():
                    place.copy_(value)


class TapeRecorder:
    """Records tapes, and counts them."""

    recorded = 0
    broken = False

    def can_record(self, x: Tensor) -> bool:
        return x.device.type == "cpu" and not torch.is_grad_enabled()

    def record(
        self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...]
    ) -> tuple[Callable[[], object], Tensor]:
        if self.broken:
            raise RuntimeError("not permitted while capturing\nmore of it")
        self.recorded += 1
        function(*inputs)  # as a warm-up does
        with Tape() as tape:
            output = function(*inputs)
        return tape.replay, output


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    recorder = TapeRecorder()
    monkeypatch.setattr(graphed, "recorder", recorder)
    return recorder


@pytest.fixture(params=[torch.inference_mode, torch.no_grad])
def without_gradients(request: pytest.FixtureRequest) -> Iterator[None]:
    with request.param():
        yield


def unets() -> tuple[UNet, UNet]:
    """A plain one, and a copy that replays."""
    torch.manual_seed(0)
    plain = UNet(UNET).requires_grad_(False)
    fast = copy.deepcopy(plain)
    optimise([fast], ["cached-context", "cuda-graphs"])
    assert type(fast) is graphed.GraphedUNet
    return plain, fast


def inputs(seed: int, batch: int = 2, side: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, 4, side, side, generator=generator)
    timesteps = torch.full((batch,), 1000 * float(torch.rand((), generator=generator)))
    return latents, timesteps, torch.randn(batch, 5, 6, generator=generator)


# --- the graphs of any function -----------------------------------------------------------------------


@torch.no_grad()
def test_one_graph_a_shape() -> None:
    recorder = TapeRecorder()
    graphs = Graphs(recorder)
    for shape in [(2,), (3,), (2,)]:
        x = torch.randn(shape)
        graph = graphs.find(torch.exp, x)
        assert graph is not None
        graph.inputs[0].copy_(x)
        assert torch.equal(graph(), x.exp())
    assert recorder.recorded == 2
    graphs.find(torch.exp, torch.randn(2, dtype=torch.float64))
    assert recorder.recorded == 3, "a graph computes in one precision"
    graphs.find(torch.exp, torch.randn(2, 4)[:, :2])
    graphs.find(torch.exp, torch.randn(2, 2))
    assert recorder.recorded == 5, "and reads one layout"


@torch.no_grad()
def test_an_output_stays_when_the_next_one_comes() -> None:
    graph = Graphs(TapeRecorder()).find(torch.exp, torch.zeros(3))
    assert graph is not None
    first = graph()
    graph.inputs[0].fill_(1)
    graph()
    assert torch.equal(first, torch.ones(3))


@torch.no_grad()
def test_the_shape_not_used_for_longest_makes_room() -> None:
    recorder = TapeRecorder()
    graphs = Graphs(recorder, most=2)
    for size in (1, 2, 1, 3):  # 3 takes the place of 2
        graphs.find(torch.exp, torch.zeros(size))
    assert recorder.recorded == 3
    graphs.find(torch.exp, torch.zeros(1))
    assert recorder.recorded == 3
    graphs.find(torch.exp, torch.zeros(2))
    assert recorder.recorded == 4
    assert len(graphs.known) == 2


@torch.no_grad()
def test_what_cannot_be_recorded_is_tried_once_and_said(caplog: pytest.LogCaptureFixture) -> None:
    recorder = TapeRecorder()
    recorder.broken = True
    graphs = Graphs(recorder)
    with caplog.at_level(logging.WARNING):
        assert graphs.find(torch.exp, torch.zeros(2, 3)) is None
        recorder.broken = False
        assert graphs.find(torch.exp, torch.zeros(2, 3)) is None
    assert [record.message for record in caplog.records] == [
        "no graph for inputs of 2×3, which run without one: not permitted while capturing"
    ]


@torch.no_grad()
def test_graphs_end_when_weights_move() -> None:
    layer = nn.Linear(2, 2)
    recorder = TapeRecorder()
    graphs = Graphs(recorder)
    x = torch.randn(1, 2)

    def call() -> Tensor:
        graphs.reads(layer.parameters())
        graph = graphs.find(layer, x)
        assert graph is not None
        return graph()

    call()
    layer.weight.mul_(2)
    assert torch.equal(call(), layer(x))
    assert recorder.recorded == 1, "a change in place is no move"
    layer.weight.data = torch.randn(2, 2)
    assert torch.equal(call(), layer(x))
    assert recorder.recorded == 2


# --- the UNet -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_gradients")
def test_a_replayed_unet_follows_latents_timesteps_and_context(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    contexts = [inputs(seed)[2] for seed in (10, 11)]
    for step, picture in enumerate([0, 0, 1, 1, 0]):
        latents, timesteps, _ = inputs(step)
        expected = plain(latents, timesteps, contexts[picture])
        torch.testing.assert_close(fast(latents, timesteps, contexts[picture]), expected)
    assert tapes.recorded == 1


@pytest.mark.usefixtures("without_gradients")
def test_two_sizes_in_turns(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    calls = [inputs(0, side=4), inputs(1, side=6), inputs(2, batch=1)]
    for call in (*calls, *calls):
        torch.testing.assert_close(fast(*call), plain(*call))
    assert tapes.recorded == 3


def cross_attention_weights(unet: UNet) -> list[tuple[str, nn.Parameter]]:
    return [(name, each) for name, each in unet.named_parameters() if "attn2" in name or "conv1" in name]


@torch.no_grad()
def test_a_lora_merged_in_place_is_seen_without_recording_again(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    call = inputs(0)
    before = fast(*call)
    with torch.inference_mode(False):
        for unet in (plain, fast):
            for index, (_, weight) in enumerate(cross_attention_weights(unet)):
                weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)))
    after = fast(*call)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, plain(*call))
    assert tapes.recorded == 1


@torch.no_grad()
def test_a_context_written_over_is_seen(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    latents, timesteps, context = inputs(0)
    fast(latents, timesteps, context)
    context.neg_()
    torch.testing.assert_close(fast(latents, timesteps, context), plain(latents, timesteps, context))
    assert tapes.recorded == 1


@torch.no_grad()
def test_weights_offloaded_between_steps_end_the_graph(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    call = inputs(0)
    fast(*call)
    for parameter in fast.parameters():
        parameter.data = parameter.data.clone()
    torch.testing.assert_close(fast(*call), plain(*call))
    assert tapes.recorded == 2


@torch.no_grad()
def test_weights_replaced_between_pictures_end_the_graph(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    fast(*inputs(0))
    weights = {name: tensor + 0.01 for name, tensor in plain.state_dict().items()}
    plain.load_state_dict(weights)
    fast.load_state_dict(weights, assign=True)
    call = inputs(1)
    torch.testing.assert_close(fast(*call), plain(*call))
    assert tapes.recorded == 2


@torch.no_grad()
def test_without_a_graph_it_computes_as_written(
    tapes: TapeRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    tapes.broken = True
    plain, fast = unets()
    call = inputs(0)
    torch.testing.assert_close(fast(*call), plain(*call))
    torch.testing.assert_close(fast(*call), plain(*call))
    assert len(caplog.records) == 1


def test_gradients_take_the_plain_way(tapes: TapeRecorder) -> None:
    _, fast = unets()
    fast.requires_grad_(True)(*inputs(0)).sum().backward()
    assert fast.conv_in.weight.grad is not None
    assert tapes.recorded == 0


@torch.no_grad()
def test_names_copies_and_switching_off(tapes: TapeRecorder) -> None:
    plain, fast = unets()
    call = inputs(0)
    fast(*call)
    assert list(fast.state_dict()) == list(plain.state_dict())
    other = copy.deepcopy(fast)
    torch.testing.assert_close(other(*call), plain(*call))
    assert tapes.recorded == 2, "a copy has graphs of its own"
    switch_off([fast])
    assert type(fast) is UNet
    assert "graphs" not in vars(fast), "their memory is given back"
    torch.testing.assert_close(fast(*call), plain(*call))


# --- the decoder --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_gradients")
def test_a_replayed_decoder(tapes: TapeRecorder) -> None:
    plain = Autoencoder(AutoencoderConfig(block_channels=(8, 16), layers_per_block=1, groups=4))
    fast = copy.deepcopy(plain)
    optimise([fast], ["cuda-graphs"])
    for seed in (0, 1):
        latents = inputs(seed)[0]
        torch.testing.assert_close(fast.decode(latents), plain.decode(latents))
    assert tapes.recorded == 1


# --- the GPU's own side, as far as a CPU can tell -----------------------------------------------------


def test_nothing_is_recorded_on_a_cpu() -> None:
    with torch.no_grad():
        assert not GpuRecorder().can_record(torch.zeros(1))


def test_settings_come_back_after_recording() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    with suppress(RuntimeError), measured_convolutions():
        assert (cudnn.benchmark, cudnn.allow_tf32) == (True, False)
        raise RuntimeError("out of memory")
    assert (cudnn.benchmark, cudnn.allow_tf32) == before
