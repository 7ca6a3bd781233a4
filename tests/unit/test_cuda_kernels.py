"""The GPU's kernels compute what PyTorch's do: run by Triton's interpreter, on the CPU, and compiled.

The interpreter has to be asked for before Triton is imported, so these tests run in a process of their own.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

pytest.importorskip("triton", reason="Triton is for Linux, and comes with PyTorch's CUDA builds")

interpreted = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="runs in a process of its own"
)
few = settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
dtypes = st.sampled_from([torch.float32, torch.float16, torch.bfloat16])

ROUNDING = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Largest error of one rounding, relative to values of unit size, with room for a float32 sum."""


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="this is that process")
def test_kernels_in_the_interpreter() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-W", "ignore", __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert "passed" in run.stdout


def close(ours: Tensor, reference: Tensor, dtype: torch.dtype) -> None:
    assert ours.dtype == dtype
    error = (ours.float() - reference.float()).abs() / (1 + reference.float().abs())
    assert error.max() <= 2 * ROUNDING[dtype]


def feature_map(generator: torch.Generator, *shape: int, dtype: torch.dtype) -> Tensor:
    """Channels-last, with a mean of its own for every channel."""
    x = torch.randn(shape, generator=generator) + 3 * torch.randn(1, shape[1], 1, 1, generator=generator)
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


@interpreted
@few
@given(
    st.integers(1, 2),
    st.integers(1, 4),
    st.sampled_from([1, 3, 10]),
    st.tuples(st.integers(2, 11), st.integers(1, 11)),
    dtypes,
    st.booleans(),
    st.sampled_from([None, 1, 2]),
    st.integers(0, 99),
)
def test_group_norm(
    batch: int,
    groups: int,
    width: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    activates: bool,
    shifts: int | None,
    seed: int,
) -> None:
    check_group_norm(batch, groups, width, size, dtype, activates, shifts, seed)


@interpreted
@few
@given(
    st.integers(1, 2),
    st.integers(1, 4),
    st.sampled_from([1, 3, 30]),
    st.tuples(st.integers(2, 11), st.integers(1, 11)),
    dtypes,
    st.booleans(),
    st.sampled_from([None, 1, 2]),
    st.integers(0, 99),
)
def test_group_norm_of_maps_too_large_for_one_program(
    batch: int,
    groups: int,
    width: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    activates: bool,
    shifts: int | None,
    seed: int,
) -> None:
    from gesso.engine.cuda import group_norm as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REGISTERS", 0)
        patch.setattr(module, "ROWS", 16)
        patch.setattr(module, "MOST_CHUNKS", 3)
        check_group_norm(batch, groups, width, size, dtype, activates, shifts, seed)


def check_group_norm(
    batch: int,
    groups: int,
    width: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    activates: bool,
    shifts: int | None,
    seed: int,
) -> None:
    from gesso.engine.cuda.group_norm import group_norm

    generator = torch.Generator().manual_seed(seed)
    channels = groups * width
    x = feature_map(generator, batch, channels, *size, dtype=dtype)
    weight, bias = (torch.randn(channels, generator=generator).to(dtype) for _ in range(2))
    shift = None
    if shifts is not None:
        shift = torch.randn(min(shifts, batch), channels, generator=generator).to(dtype)
    shifted = x.double() if shift is None else x.double() + shift.double()[:, :, None, None]
    reference = nn.functional.group_norm(shifted, groups, weight.double(), bias.double(), 1e-5)
    reference = silu(reference) if activates else reference
    ours = group_norm(x, groups, weight, bias, 1e-5, silu=activates, shift=shift)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    close(ours, reference, dtype)


@interpreted
@pytest.mark.parametrize("registers", [0, 32768])
def test_group_norm_far_from_zero_loses_no_digits(registers: int) -> None:
    from gesso.engine.cuda import group_norm as module

    x = feature_map(torch.Generator().manual_seed(0), 1, 8, 12, 12, dtype=torch.float32) + 1000
    x = x.contiguous(memory_format=torch.channels_last)
    weight, bias = torch.ones(8), torch.zeros(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REGISTERS", registers)
        ours = module.group_norm(x, 2, weight, bias, 1e-5)
    reference = nn.functional.group_norm(x.double(), 2)
    assert (ours - reference).abs().max() < 1e-3  # a float32 near 1000 is that coarse; squares give 0.1


@interpreted
@few
@given(st.integers(1, 5), st.sampled_from([1, 40, 1030]), dtypes, st.integers(0, 99))
def test_gate(rows: int, channels: int, dtype: torch.dtype, seed: int) -> None:
    from gesso.engine.cuda.geglu import gate

    x = torch.randn(2, rows, 2 * channels, generator=torch.Generator().manual_seed(seed)).to(dtype)
    value, gates = x.double().chunk(2, dim=-1)
    close(gate(x), value * gelu(gates), dtype)


@interpreted
@few
@given(st.integers(1, 2), st.integers(1, 9), st.integers(1, 12), dtypes, st.integers(0, 99))
def test_bias_and_residual(batch: int, channels: int, side: int, dtype: torch.dtype, seed: int) -> None:
    from gesso.engine.cuda.residual import add_bias_and_residual

    generator = torch.Generator().manual_seed(seed)
    y, residual = (feature_map(generator, batch, channels, side, side + 1, dtype=dtype) for _ in range(2))
    bias = torch.randn(channels, generator=generator).to(dtype)
    reference = y.double() + bias.double()[:, None, None] + residual.double()
    close(add_bias_and_residual(y, bias, residual), reference, dtype)


@interpreted
@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_unet_on_the_kernels(dtype: torch.dtype) -> None:
    """Every module that computes on them, together, against the plain ones in float32."""
    from gesso.config import UNetConfig
    from gesso.engine.cuda import fused_norm
    from gesso.engine.engine import optimise, switch_off
    from gesso.engine.layout import channels_last
    from gesso.models.unet import UNet

    torch.manual_seed(0)
    config = UNetConfig(
        block_channels=(8,),
        layers_per_block=1,
        attention_levels=(True,),
        heads=2,
        context_dim=6,
        groups=4,
    )
    plain = UNet(config)
    unet = channels_last(copy.deepcopy(plain).to(dtype))
    names = ["triton-group-norm", "triton-resnet", "triton-transformer", "triton-geglu"]
    optimise([unet], names)
    assert not any(type(module) is nn.GroupNorm for module in unet.modules())
    assert list(unet.state_dict()) == list(plain.state_dict())

    calls = 0
    original = fused_norm.group_norm

    def counted(*args: object, **options: object) -> Tensor:
        nonlocal calls
        calls += 1
        return original(*args, **options)  # pyright: ignore

    x, t, context = torch.randn(2, 4, 4, 3), torch.tensor([3.0, 801.0]), torch.randn(2, 7, 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_norm, "group_norm", counted)
        ours = unet(x.to(dtype), t, context.to(dtype)).float()
    assert calls == 4 + 1, "four transformers' norms and the last one"
    reference = plain(x, t, context)
    error = (ours - reference).norm() / reference.norm()
    assert error < (1e-5 if dtype == torch.float32 else 2e-2)
    switch_off([unet])
    assert [type(module) for module in unet.modules()] == [type(module) for module in plain.modules()]


@interpreted
def test_gradients_take_the_plain_way() -> None:
    from gesso.engine.cuda.launch import runs_kernels

    x, weight = torch.randn(1, 4, 3, 3), nn.Parameter(torch.ones(4))
    assert not runs_kernels(x, weight)
    with torch.no_grad():
        assert runs_kernels(x, weight)
        assert not runs_kernels(x.half(), weight), "of another precision"


WHOLE = ("pixels", "channels", "width", "shift_stride", "chunks", "chunk_pixels", "count")
FLAGS = {"SHIFTS": True, "SILU": True}


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing")
@pytest.mark.parametrize(
    ("file", "name", "warps", "constants"),
    [
        ("group_norm", "_whole_group", 8, {"ROWS": 256, "COLUMNS": 64, **FLAGS}),
        ("group_norm", "_measure", 4, {"ROWS": 64, "COLUMNS": 64, "SHIFTS": True, "TILES": 2}),
        ("group_norm", "_join", 4, {"CHUNKS": 64, "COLUMNS": 16}),
        ("group_norm", "_apply", 4, {"ROWS": 64, "COLUMNS": 64, **FLAGS}),
        ("geglu", "_gate", 4, {"BLOCK": 1024}),
        ("residual", "_add", 4, {"BLOCK": 1024}),
    ],
)
def test_kernels_compile_for_hopper(file: str, name: str, warps: int, constants: dict[str, Any]) -> None:
    """Down to machine code, in float16; no GPU is needed for that."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(import_module(f"gesso.engine.cuda.{file}"), name)
    signature = dict.fromkeys(kernel.arg_names, "*fp16") | {"eps": "fp32"} | dict.fromkeys(WHOLE, "i32")
    signature |= dict.fromkeys(("moments", "statistics"), "*fp32") | dict.fromkeys(constants, "constexpr")
    source = ASTSource(kernel, {each: signature[each] for each in kernel.arg_names}, constexprs=constants)
    compiled: Any = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
    assert compiled.asm["cubin"]
