"""Each optimisation alone, and all together, draw what the plain models draw, and can be switched off."""

from __future__ import annotations

import copy
import gc
import pickle
import platform
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gesso
from gesso.config import AutoencoderConfig, TextEncoderConfig, UNetConfig
from gesso.engine import engine
from gesso.engine.cached_context import CachedCrossAttention
from gesso.engine.cpu import attention as attention_kernel
from gesso.engine.cpu import group_norm, heap, products, winograd
from gesso.engine.cpu.packed_conv import PACKS, PackedConv2d
from gesso.engine.engine import LIGHT, choose_engine, optimise, refresh, switch_off
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.engine.stamp import stamp
from gesso.errors import RequestError
from gesso.models.attention import CrossAttention
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet

TOLERANCE = 1e-5
"""Some thirty layers after another, each off by some 1e-6 of its own (Winograd's most, others by 1e-7)."""

ALL = [name for name, each in OPTIMISATIONS.items() if "cpu" in each.devices]

UNET = UNetConfig(
    block_channels=(32, 64),
    layers_per_block=1,
    attention_levels=(True, False),
    heads=2,
    context_dim=24,
    groups=8,
)
UNETS = {
    "small": UNET,
    "no attention above": replace(UNET, attention_levels=(False, True)),
    "inpainting": replace(UNET, in_channels=9),
    "three levels, two layers": replace(
        UNET, block_channels=(32, 40, 48), layers_per_block=2, attention_levels=(True, True, False)
    ),
    "context as wide as the channels": replace(UNET, context_dim=32),
}
SIZES = [(9, 13), (16, 17), (33, 32)]
"""Of latents: below Winograd's smallest maps, at those of its small tiles, and of its large ones."""
AUTOENCODERS = {
    "small": AutoencoderConfig(block_channels=(32, 40), layers_per_block=1, groups=8),
    "narrow": AutoencoderConfig(block_channels=(8, 16, 32), layers_per_block=1, groups=4),
}
TEXT_ENCODER = TextEncoderConfig(vocab_size=100, width=32, layers=2, heads=2, mlp_width=64)

WITNESSES: dict[str, tuple[Any, str]] = {
    "winograd": (winograd, "conv3x3"),
    "packed-weights": (PackedConv2d, "packed_weight"),
    "fused-resnet": (group_norm, "group_norm_silu"),
    "tiled-products": (products, "linear"),
    "cached-context": (CachedCrossAttention, "keys_and_values"),
    "tiled-attention": (attention_kernel, "attend"),
}
"""What is called where an optimisation takes part."""


@pytest.fixture(autouse=True)
def no_grad(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As pictures are drawn; and the memory of the test run is left as it is."""
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: True)
    with torch.no_grad():
        yield


def made(model: Callable[[Any], nn.Module], config: Any) -> Any:
    """A model whose every weight is random (norms and biases start out trivial), ready to draw."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = model(config).eval().requires_grad_(False)
        for parameter in network.parameters():
            spread = 1.0 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            nn.init.normal_(parameter, mean=float(parameter.ndim == 1) * 0.5, std=spread)
    return network


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def guided_inputs(
    config: UNetConfig, height: int, width: int, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """The same latents and timestep under two contexts, as guidance asks for them."""
    latents = normal(1, config.in_channels, height, width, seed=seed).repeat(2, 1, 1, 1)
    return latents, torch.tensor([501.0, 501.0]), normal(2, 77, config.context_dim, seed=seed + 1)


def relative_error(ours: Tensor, plain: Tensor) -> float:
    return float((ours - plain).norm() / plain.norm())


def counting(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """What every call of ``owner.name`` returned from now on."""
    original, results = getattr(owner, name), []

    def call(*args: Any, **kwargs: Any) -> Any:
        results.append(original(*args, **kwargs))
        return results[-1]

    monkeypatch.setattr(owner, name, call)
    return results


def classes(model: nn.Module) -> list[type]:
    return [type(module) for module in model.modules()]


# The same output


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_unet_under_each_optimisation(size: tuple[int, int]) -> None:
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, *size)
    plain = unet(*inputs)
    for name in ALL:
        optimise([unet], [name])
        assert relative_error(unet(*inputs), plain) <= TOLERANCE, name
        switch_off([unet])
        assert torch.equal(unet(*inputs), plain), f"{name} left something behind"


@pytest.mark.parametrize("size", SIZES[:2], ids=str)
@pytest.mark.parametrize("config", UNETS.values(), ids=UNETS)
def test_unet_under_all_of_them(config: UNetConfig, size: tuple[int, int]) -> None:
    unet = made(UNet, config)
    first, second = guided_inputs(config, *size), guided_inputs(config, *size, seed=5)
    plain = [unet(*first), unet(*second)]
    optimise([unet], ALL)
    for _ in range(2):  # prepared weights and remembered keys are used again
        for inputs, expected in zip((first, second), plain, strict=True):
            kept = [tensor.clone() for tensor in inputs]
            assert relative_error(unet(*inputs), expected) <= TOLERANCE
            assert all(map(torch.equal, inputs, kept)), "an input was written to"
    switch_off([unet])
    assert torch.equal(unet(*first), plain[0])


@pytest.mark.parametrize("names", [*([name] for name in ALL), ALL], ids=",".join)
@pytest.mark.parametrize("config", AUTOENCODERS.values(), ids=AUTOENCODERS)
def test_autoencoder(config: AutoencoderConfig, names: list[str]) -> None:
    autoencoder = made(Autoencoder, config)
    latents, image = normal(2, 4, 17, 9), normal(1, 3, 36, 20)
    plain = autoencoder.decode(latents), autoencoder.encode(image)
    optimise([autoencoder], names)
    assert relative_error(autoencoder.decode(latents), plain[0]) <= TOLERANCE
    assert relative_error(autoencoder.encode(image), plain[1]) <= TOLERANCE
    switch_off([autoencoder])
    assert torch.equal(autoencoder.decode(latents), plain[0])


def test_text_encoder() -> None:
    encoder = made(TextEncoder, TEXT_ENCODER)
    tokens = torch.arange(77)[None]
    plain = encoder(tokens)
    optimise([encoder], ALL)
    assert relative_error(encoder(tokens), plain) <= TOLERANCE


@pytest.mark.parametrize("name", WITNESSES)
def test_it_takes_part(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise this file would compare the plain models with themselves."""
    if name == "packed-weights" and not PACKS:
        pytest.skip("this build of PyTorch packs no weights")
    calls = counting(monkeypatch, *WITNESSES[name])
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, 33, 32)
    unet(*inputs)
    assert not calls
    optimise([unet], ALL)
    unet(*inputs)
    assert calls
    calls.clear()
    switch_off([unet])
    unet(*inputs)
    assert not calls


def test_channels_last_reaches_every_feature_map() -> None:
    unet = made(UNet, UNET)
    layouts = []
    for module in unet.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda *call: layouts.append(call[2].is_contiguous(memory_format=torch.channels_last))
            )
    optimise([unet], ["channels-last"])
    unet(*guided_inputs(UNET, 9, 13))
    assert layouts
    assert all(layouts)


def test_every_output_is_right_without_inference_mode_too() -> None:
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, 16, 16)
    plain = unet(*inputs)
    optimise([unet], ALL)
    with torch.inference_mode():
        inference = unet(*inputs)
    with torch.enable_grad():
        gradients = unet(*inputs)
    assert torch.equal(inference, gradients)
    assert relative_error(gradients, plain) <= TOLERANCE


def test_training_an_optimised_model_gives_the_plain_gradients() -> None:
    unet = made(UNet, UNET).requires_grad_(True)
    latents, timesteps, context = guided_inputs(UNET, 16, 16)
    latents = torch.cat([latents[:1], normal(1, 4, 16, 16, seed=8)])
    gradients = []
    for names in ([], ALL):
        optimise([unet], names)
        unet.zero_grad()
        with torch.enable_grad():
            unet(latents, timesteps, context).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in unet.parameters()])
    for plain, fast in zip(*gradients, strict=True):
        assert relative_error(fast, plain) <= 1e-4  # other layouts sum in another order


# On and off


def test_nothing_but_classes_changes() -> None:
    unet = made(UNet, UNET)
    plain_classes, plain_state = classes(unet), {k: t.clone() for k, t in unet.state_dict().items()}
    parameters = list(unet.parameters())
    optimise([unet], ALL)
    assert classes(unet) != plain_classes
    unet(*guided_inputs(UNET, 16, 16))
    assert all(a is b for a, b in zip(unet.parameters(), parameters, strict=True))
    state = unet.state_dict()
    assert list(state) == list(plain_state)
    assert all(torch.equal(state[key], tensor) for key, tensor in plain_state.items())
    switch_off([unet])
    assert classes(unet) == plain_classes
    assert [t.stride() for t in unet.state_dict().values()] == [t.stride() for t in plain_state.values()]


def test_switching_off_gives_the_memory_back() -> None:
    unet = made(UNet, UNET)
    before = [set(vars(module)) for module in unet.modules()]
    optimise([unet], ALL)
    unet(*guided_inputs(UNET, 33, 32))
    switch_off([unet])
    assert [set(vars(module)) for module in unet.modules()] == before


def test_switching_on_twice_changes_nothing() -> None:
    unet = made(UNet, UNET)
    optimise([unet], ALL)
    once = classes(unet)
    optimise([unet], ALL)
    assert classes(unet) == once


@pytest.mark.parametrize("first", ALL)
def test_the_order_of_switching_on_does_not_matter(first: str) -> None:
    once = made(UNet, UNET)
    optimise([once], ALL)
    one_by_one = made(UNet, UNET)
    for name in [first, *reversed(ALL)]:
        optimise([one_by_one], [name])
    assert classes(one_by_one) == classes(once)


def test_weights_written_behind_pytorchs_back() -> None:
    """As a LoRA could be merged: into .data, which no count tells of."""
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, 33, 32)
    optimise([unet], ALL)
    unet(*inputs)
    for parameter in unet.parameters():
        parameter.data.mul_(0.9)
    refresh([unet])
    fast = unet(*inputs)
    switch_off([unet])
    assert relative_error(fast, unet(*inputs)) <= TOLERANCE


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_weights_that_are_written_to_are_noticed(mode: Callable[[], Any]) -> None:
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, 33, 32)
    optimise([unet], ALL)
    unet(*inputs)
    with mode():
        for parameter in unet.parameters():
            parameter.mul_(0.9)
        fast = unet(*inputs).clone()
    switch_off([unet])
    assert relative_error(fast, unet(*inputs)) <= TOLERANCE


def test_a_copy_of_an_optimised_model_is_a_model_of_its_own() -> None:
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, 33, 32)
    optimise([unet], ALL)
    fast = unet(*inputs)
    twin = copy.deepcopy(unet)
    assert torch.equal(twin(*inputs), fast)
    for parameter in twin.parameters():
        parameter.mul_(0.9)
    changed = twin(*inputs)
    assert torch.equal(unet(*inputs), fast)
    switch_off([twin])
    assert relative_error(changed, twin(*inputs)) <= TOLERANCE


def test_an_optimised_model_can_be_pickled() -> None:
    unet = made(UNet, UNET)
    inputs = guided_inputs(UNET, 16, 17)
    optimise([unet], ALL)
    fast = unet(*inputs)
    assert torch.equal(pickle.loads(pickle.dumps(unet))(*inputs), fast)


def test_two_threads_draw_at_once() -> None:
    unet = made(UNet, UNET)
    jobs = [guided_inputs(UNET, *size, seed=seed) for seed, size in enumerate([(33, 32), (16, 17)])]
    plain = [unet(*inputs) for inputs in jobs]
    optimise([unet], ALL)
    worst: list[float] = []

    def draw(index: int) -> None:
        with torch.inference_mode():
            worst.extend(relative_error(unet(*jobs[index]), plain[index]) for _ in range(5))

    threads = [threading.Thread(target=draw, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worst) == 10, "a thread failed"
    assert max(worst) <= TOLERANCE


def test_kernels_leave_torch_its_threads() -> None:
    """In a process of its own: Numba starts its threads once."""
    script = (
        "import torch; torch.set_num_threads(1); from gesso.engine.cpu.products import linear; "
        "linear(torch.ones(2, 8), torch.ones(32, 8)); print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


# Stamps


def test_a_stamp_notices_writes() -> None:
    tensor = normal(3)
    before = stamp(tensor)
    assert before == stamp(tensor)
    tensor.add_(1)
    assert before != stamp(tensor)


def test_a_stamp_is_of_one_tensor() -> None:
    """Two tensors in the same memory, one after the other, as when a weight is replaced twice."""
    memory = np.zeros(4, np.float32)
    first = torch.from_numpy(memory)
    before = stamp(first)
    second = torch.from_numpy(memory)
    assert stamp(second) != before
    del first
    assert stamp(second) != before
    assert before != "a stamp"


def test_a_stamp_is_of_one_storage() -> None:
    """A parameter that is given other data twice has the address of the first now and then."""
    tensor = normal(64, 3)
    for _ in range(200):
        before = stamp(tensor)
        assert stamp(tensor) == before
        tensor.data = tensor.data + 1
        tensor.data = tensor.data + 1
        assert stamp(tensor) != before


# What both halves share


@pytest.mark.parametrize(
    ("case", "first_sees"),
    [
        ("equal halves", 2),
        ("different halves", 4),
        ("odd batch", 3),
        ("different timesteps", 4),
        ("one", 1),
    ],
)
def test_shared_prefix(case: str, first_sees: int) -> None:
    unet = made(UNet, UNET)
    half, timesteps, context = normal(2, 4, 16, 16), torch.full((4,), 301.0), normal(4, 5, 24, seed=1)
    latents = torch.cat([half, half])
    match case:
        case "different halves":
            latents[3, 0, 0, 0] += 1e-3
        case "odd batch":
            latents, timesteps, context = (
                normal(1, 4, 16, 16).repeat(3, 1, 1, 1),
                timesteps[:3],
                context[:3],
            )
        case "different timesteps":
            timesteps[3] = 302.0
        case "one":
            latents, timesteps, context = latents[:1], timesteps[:1], context[:1]
    plain = unet(latents, timesteps, context)
    optimise([unet], ["shared-prefix"])
    seen: list[int] = []
    unet.conv_in.register_forward_hook(lambda *call: seen.append(len(call[2])))
    assert relative_error(unet(latents, timesteps, context), plain) <= TOLERANCE
    assert seen == [first_sees]


def test_nothing_is_shared_where_the_first_level_does_not_read_the_context() -> None:
    unet = made(UNet, UNETS["no attention above"])
    optimise([unet], ["shared-prefix"])
    seen: list[int] = []
    unet.conv_in.register_forward_hook(lambda *call: seen.append(len(call[2])))
    unet(*guided_inputs(UNET, 16, 16))
    assert seen == [2]


# Keys and values of a context


@pytest.fixture
def attention() -> CachedCrossAttention:
    layer = CrossAttention(32, 24, 2).requires_grad_(False)
    layer.__class__ = CachedCrossAttention
    assert isinstance(layer, CachedCrossAttention)
    return layer


def attends(layer: CachedCrossAttention, context: Tensor) -> bool:
    """Whether it answers as the plain layer does."""
    x = normal(len(context), 9, 32, seed=3)
    return torch.allclose(layer(x, context), CrossAttention.forward(layer, x, context), atol=1e-6)


def projections(layer: CachedCrossAttention) -> list[str]:
    """Every later call of to_k."""
    calls: list[str] = []
    layer.to_k.register_forward_hook(lambda *_: calls.append("to_k"))
    return calls


def test_two_contexts_by_turns(attention: CachedCrossAttention) -> None:
    contexts = [normal(2, 7, 24, seed=1), normal(2, 11, 24, seed=2)]
    calls = projections(attention)
    for _ in range(3):
        for context in contexts:
            attention(normal(2, 9, 32), context)
    assert len(calls) == 2
    assert all(attends(attention, context) for context in contexts)


def test_a_changed_context_or_weight_is_noticed(attention: CachedCrossAttention) -> None:
    context = normal(2, 7, 24, seed=1)
    assert attends(attention, context)
    context.mul_(2)
    assert attends(attention, context)
    for layer in (attention.to_k, attention.to_v):
        layer.weight.add_(0.1)
        assert attends(attention, context)
        for seed in range(4):
            layer.weight = nn.Parameter(normal(32, 24, seed=seed), requires_grad=False)
            if seed % 2:
                assert attends(attention, context)


def test_keys_go_with_their_context(attention: CachedCrossAttention) -> None:
    context = normal(2, 7, 24, seed=1)
    keys = weakref.ref(attention.keys_and_values(context)[0])
    assert keys() is not None
    del context
    gc.collect()
    assert keys() is None
    assert attention.remembered is not None
    assert len(attention.remembered) == 0


def test_gradients_of_a_context(attention: CachedCrossAttention) -> None:
    """Textual inversion trains the context."""
    x, context = normal(2, 9, 32), normal(2, 7, 24, seed=1)
    attention(x, context)
    context.requires_grad_()
    with torch.enable_grad():
        attention(x, context).sum().backward()
    assert context.grad is not None


def test_a_picture_projects_its_context_once(tiny_model: Path) -> None:
    pipe = gesso.load(tiny_model, device="cpu", engine="cached-context")
    layers = [module for module in pipe.unet.modules() if isinstance(module, CachedCrossAttention)]
    assert layers
    calls = [projections(layer) for layer in layers]
    pipe("a red house", seed=7, steps=4)
    assert [len(each) for each in calls] == [1] * len(layers)


# Whole pictures


def psnr(ours: Any, plain: Any) -> float:
    difference = np.asarray(ours, np.float64) - np.asarray(plain, np.float64)
    return float(10 * np.log10(255**2 / max((difference**2).mean(), 1e-10)))


@pytest.mark.parametrize("model", ["tiny", "storybook"])
def test_pictures_are_the_same(model: str, tiny_model: Path) -> None:
    """The bound is 45 dB; what differs in fact is a few pixels, by one of 255 steps (above 60 dB)."""
    source = tiny_model if model == "tiny" else "storybook"
    options: dict[str, Any] = {
        "seed": 7,
        "steps": 3,
        "width": 128,
        "height": 72,
        "count": 2,
        "batch_size": 2,
    }
    plain = gesso.load(source, device="cpu", engine="plain")("a red house", **options).images
    for name in ("auto", ",".join(ALL)):
        ours = gesso.load(source, device="cpu", engine=name)("a red house", **options).images
        assert min(map(psnr, ours, plain)) >= 60, name


# Choosing


def test_engines_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    unet, cpu = made(UNet, UNET), torch.device("cpu")
    assert choose_engine("plain", unet, cpu, torch.float32) == []
    light = choose_engine("auto", unet, cpu, torch.float32)
    assert light == list(LIGHT), "small models take what loads no compiler"
    assert choose_engine("auto", unet, cpu, torch.float32, low_memory=True) == [
        name for name in LIGHT if not OPTIMISATIONS[name].takes_memory
    ]
    assert choose_engine(" winograd , tiled-products,", unet, cpu, torch.float32) == [
        "winograd",
        "tiled-products",
    ]
    monkeypatch.setattr(engine, "SMALLEST_MODEL", 0)
    assert choose_engine("auto", unet, cpu, torch.float32) == ALL
    assert choose_engine("auto", unet, cpu, torch.bfloat16) == []
    monkeypatch.setattr(engine, "find_spec", lambda *_: None)
    left = choose_engine("auto", unet, cpu, torch.float32)
    assert left == [name for name in ALL if OPTIMISATIONS[name].needs is None]
    assert "cached-context" in left
    assert "winograd" not in left, "its kernels need Numba"


def test_a_named_optimisation_without_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda *_: None)
    with pytest.raises(RequestError, match='"winograd" needs numba, which is not installed') as refused:
        choose_engine("winograd", made(UNet, UNET), torch.device("cpu"), torch.float32)
    assert refused.value.where == "engine"


def test_a_wrong_engine_is_refused_before_the_model_is_looked_for() -> None:
    with pytest.raises(RequestError, match="there is no optimisation"):
        gesso.load("there/is/no/such/model", engine="turbo")


@pytest.mark.parametrize("name", ["turbo", "winograd,turbo", "Plain", "auto,plain", "", " , "])
def test_an_unknown_optimisation(name: str) -> None:
    with pytest.raises(RequestError, match="there is no optimisation") as refused:
        choose_engine(name, made(UNet, UNET), torch.device("cpu"), torch.float32)
    assert refused.value.where == "engine"
    assert "winograd" in refused.value.advice


def test_an_optimisation_for_another_device() -> None:
    with pytest.raises(RequestError, match='"winograd" is not for cuda'):
        choose_engine("winograd", made(UNet, UNET), torch.device("cuda"), torch.float16)


def test_freed_memory_is_kept_by_the_c_library() -> None:
    """In a process of its own: it would last."""
    ask = "from gesso.engine.cpu.heap import *; print(keep_freed_memory(), return_freed_memory())"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    glibc = "glibc" in platform.libc_ver()
    assert answer == f"{glibc} None\n"
