"""Memory: mapped weights leave it and are never lost, little of it draws the same, too little is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

import gesso
from gesso.engine import streaming
from gesso.engine.exhaustion import explain_exhaustion
from gesso.engine.residency import keep_one_part
from gesso.engine.streaming import Unit, stream_weights, units
from gesso.errors import KeysError, OutOfMemoryError
from gesso.pipeline.pipeline import Pipeline
from gesso.weights.checkpoint import build, open_checkpoint
from gesso.weights.files import read_tensors
from gesso.weights.finite import EXPONENTS, FiniteCheck, check_one_by_one, is_finite
from gesso.weights.pages import PAGEMAP, PAGESIZE, release
from gesso.weights.save import save_folder

CPU = torch.device("cpu")
TELLS = os.access(PAGEMAP, os.R_OK)
needs_pagemap = pytest.mark.skipif(not TELLS, reason="the kernel does not say what its pages are")
PAGES = 40


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tensors of some pages, of which no one begins at a page's start."""
    path = tmp_path_factory.mktemp("pages") / "weights.safetensors"
    values = torch.arange(PAGES * PAGESIZE // 4, dtype=torch.float32)
    save_file({"first": values, "second": values.flip(0)}, path)
    return path


@needs_pagemap
def test_what_was_read_is_given_back_and_comes_back(file: Path) -> None:
    first = read_tensors(file)["first"]
    before = first.clone()
    assert release([first]) >= (PAGES - 2) * PAGESIZE
    assert release([first]) == 0, "nothing is left to give back"
    assert torch.equal(first, before)


WRITERS: dict[str, Callable[[Tensor, int], object]] = {
    "in place": lambda tensor, index: tensor[index].fill_(-7),
    "uncounted": lambda tensor, index: tensor.data[index].fill_(-7),
    "by NumPy": lambda tensor, index: tensor.numpy().__setitem__(index, -7),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@given(indices=st.lists(st.integers(0, PAGES * PAGESIZE // 4 - 1), max_size=8))
def test_what_was_written_is_kept(
    file: Path, write: Callable[[Tensor, int], object], indices: list[int]
) -> None:
    tensors = read_tensors(file)
    for index in indices:
        write(tensors["first"], index)
    before = tensors["first"].clone()
    release(tensors.values())
    assert torch.equal(tensors["first"], before)
    assert torch.equal(tensors["second"], torch.arange(PAGES * PAGESIZE // 4, dtype=torch.float32).flip(0))


def test_memory_that_is_no_files_is_kept(file: Path) -> None:
    made = torch.randn(PAGES * PAGESIZE)
    transposed = read_tensors(file)["first"].view(PAGES, -1).t()
    assert release([made, made[1:], torch.empty(0), transposed, torch.empty(3, device="meta")]) == 0
    assert made.isfinite().all()


@given(st.data())
def test_finite_is_what_torch_calls_finite(data: st.DataObject) -> None:
    """On any bits, so among them all kinds of NaN, both zeros and the smallest numbers."""
    dtype = data.draw(st.sampled_from([*EXPONENTS, torch.float8_e4m3fn, torch.float8_e5m2]))
    bits = torch.tensor(list(data.draw(st.binary(max_size=12))), dtype=torch.uint8)
    tensor = bits[: len(bits) // dtype.itemsize * dtype.itemsize].view(dtype)
    assert is_finite(tensor) == bool(tensor.double().isfinite().all())


@pytest.mark.parametrize("dtype", [*EXPONENTS, torch.float8_e4m3fn])
def test_the_largest_numbers_are_finite(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    values = [info.max, info.min, info.tiny, -0.0]
    assert is_finite(torch.tensor(values, dtype=torch.float64).to(dtype))
    assert not is_finite(torch.tensor([*values, float("nan")], dtype=torch.float64).to(dtype))


@pytest.mark.parametrize("place", [0, 1 << 18, (1 << 18) - 1, 299_999])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_value_anywhere_is_found(place: int, value: float) -> None:
    tensor = torch.randn(300_000)
    tensor[place] = value
    assert not is_finite(tensor)
    assert not is_finite(tensor.view(300, 1000).t())


@pytest.fixture
def spoilt(tiny_model: Path, tmp_path: Path) -> Path:
    """A model whose last tensor in the file holds a NaN."""
    checkpoint = open_checkpoint(tiny_model)
    bias = torch.full_like(checkpoint.autoencoder["decoder.conv_out.bias"], float("nan"))
    autoencoder = {**checkpoint.autoencoder, "decoder.conv_out.bias": bias}
    save_folder(replace(checkpoint, autoencoder=autoencoder), tmp_path / "spoilt")
    return tmp_path / "spoilt"


def test_nothing_is_drawn_with_weights_that_are_not_finite(spoilt: Path) -> None:
    pipe = gesso.load(spoilt, device="cpu")
    for _ in range(2):
        with pytest.raises(KeysError, match=r"decoder\.conv_out\.bias has values that are NaN or infinite"):
            next(pipe.stream(gesso.GenerationRequest("house", steps=1)))
    with pytest.raises(KeysError, match=r"decoder\.conv_out\.bias"):
        pipe.decode(torch.zeros(1, 4, 8, 8))


def test_low_memory_refuses_them_when_loading(spoilt: Path) -> None:
    with pytest.raises(KeysError, match=r"decoder\.conv_out\.bias has values that are NaN or infinite"):
        gesso.load(spoilt, device="cpu", low_memory=True)


def test_values_written_meanwhile_are_their_writers_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(tensor: Tensor) -> bool:
        time.sleep(0.2)
        return is_finite(tensor)

    monkeypatch.setattr("gesso.weights.finite.is_finite", slowly)
    weight = torch.zeros(3)
    check = FiniteCheck({"weight": weight}, Path("model"))
    weight.fill_(float("nan"))
    check.wait()
    with pytest.raises(KeysError, match="tensor weight has"):
        check_one_by_one({"weight": weight}, Path("model"))


def test_a_program_that_ends_does_not_wait_for_the_check() -> None:
    program = """if True:
        import atexit
        import time
        from pathlib import Path

        import torch

        from gesso.weights import finite

        def slowly(tensor):
            time.sleep(0.05)
            looked_at.append(tensor)
            return True

        looked_at, finite.is_finite = [], slowly
        check = finite.FiniteCheck({str(index): torch.zeros(1) for index in range(2000)}, Path("model"))
        atexit.register(lambda: print(len(looked_at), check.thread.is_alive()))
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    looked_at, alive = ended.stdout.split()  # when all threads have ended
    assert alive == "False"
    assert int(looked_at) < 1000


def pixels(pipe: Pipeline, **fields: object) -> np.ndarray:
    (image,) = pipe("a red house", **{"steps": 2, "seed": 7, **fields}).images
    return np.asarray(image).astype(int)


@pytest.fixture(scope="module")
def half_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half") / "half"
    save_folder(open_checkpoint(tiny_model), folder, dtype=torch.float16)
    return folder


@pytest.mark.parametrize("engine", ["auto", "channels-last,tiled-products,shared-prefix,cached-context"])
@pytest.mark.parametrize("model", ["tiny_model", "half_model"])
def test_low_memory_draws_the_same_picture(model: str, engine: str, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(model)
    plain = gesso.load(source, device="cpu", engine="plain")
    low = gesso.load(source, device="cpu", engine=engine, low_memory=True)
    homes = [parameter.dtype for parameter in low.unet.parameters()]
    assert (low.device, low.dtype) == (CPU, torch.float32)
    for prompt_seed in (7, 8):
        assert abs(pixels(low, seed=prompt_seed) - pixels(plain, seed=prompt_seed)).max() <= 1
    assert [parameter.dtype for parameter in low.unet.parameters()] == homes


def test_low_memory_draws_in_half_precision(half_model: Path) -> None:
    plain = gesso.load(half_model, device="cpu", dtype="bfloat16")
    low = gesso.load(half_model, device="cpu", dtype="bfloat16", low_memory=True)
    assert abs(pixels(low) - pixels(plain)).max() <= 1


def test_units_hold_each_weight_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unet = build(open_checkpoint(tiny_model)).unet
    for most in (0, 2**10, 2**15, 2**40):
        monkeypatch.setattr(streaming, "LARGEST_UNIT", most)
        held = [id(parameter) for unit in units(unet) for parameter in unit.parameters()]
        assert sorted(held) == sorted(id(parameter) for parameter in unet.parameters())


def test_weights_go_home_when_a_module_fails() -> None:
    class Failing(nn.Linear):
        def forward(self, *_: Tensor) -> Tensor:
            assert self.weight.dtype == torch.float32, "it has come"
            raise ValueError("no")

    module = Failing(2, 2).half().requires_grad_(False)
    unit = Unit(module, CPU, torch.float32)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            module(torch.zeros(1, 2))
        assert module.weight.dtype == torch.float16
    assert unit.lock.acquire(blocking=False)


@needs_pagemap
def test_streamed_weights_leave_when_done(file: Path) -> None:
    weight = read_tensors(file)["first"].view(PAGES, -1)
    model = nn.Sequential(nn.Linear(weight.shape[1], PAGES, bias=False).requires_grad_(False))
    model[0].weight = nn.Parameter(weight, requires_grad=False)
    stream_weights(model, CPU, torch.float32)
    expected = torch.ones(1, weight.shape[1]) @ weight.t()
    torch.testing.assert_close(model(torch.ones(1, weight.shape[1])), expected)
    assert release([weight]) == 0, "nothing is left to give back"


@needs_pagemap
def test_each_part_leaves_when_it_is_done(tiny_model: Path) -> None:
    models = build(open_checkpoint(tiny_model))
    keep_one_part(models)
    with torch.inference_mode():
        context = models.text_encoder(torch.zeros(1, 5, dtype=torch.int64))
        assert release(models.text_encoder.parameters()) == 0
        latents = models.unet(torch.randn(1, 4, 8, 8), torch.tensor([1.0]), context)
        image = models.autoencoder.decode(latents)
        assert release(models.unet.parameters()) == release(models.autoencoder.decoder.parameters()) == 0
        assert torch.equal(models.autoencoder.decode(latents), image)


ENDINGS: dict[str, Callable[[], object]] = {
    "torch's allocator": lambda: torch.empty(1 << 58, dtype=torch.uint8),
    "Python": lambda: bytearray(1 << 62),
    "NumPy": lambda: np.empty(1 << 58, np.uint8),
    "a GPU": lambda: raised(torch.OutOfMemoryError("CUDA out of memory.")),
}


def raised(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_no_memory_is_one_error_and_the_next_request_is_served(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]
) -> None:
    pipe = gesso.load(tiny_model, device="cpu")
    expected = pixels(pipe)
    with monkeypatch.context() as during:
        during.setattr(type(pipe.unet), "forward", lambda *_: end())
        with pytest.raises(
            OutOfMemoryError, match=r"not enough memory for 1 × 64×64 pixels\. Draw smaller"
        ):
            pixels(pipe)
    with monkeypatch.context() as during:
        during.setattr(type(pipe.autoencoder.decoder), "forward", lambda *_: torch.empty(1 << 58))
        with pytest.raises(OutOfMemoryError, match="not enough memory for decoding 64×64 pixels"):
            pixels(pipe)
    assert np.array_equal(pixels(pipe), expected)


def test_what_the_failed_attempt_held_is_free() -> None:
    freed: list[bool] = []

    class Held:
        def __del__(self) -> None:
            freed.append(True)

    def attempt() -> None:
        held = Held()
        torch.empty(1 << 58)
        del held

    with pytest.raises(OutOfMemoryError) as caught, explain_exhaustion("an attempt", "Try less."):
        attempt()
    assert freed == [True]
    assert str(caught.value) == "not enough memory for an attempt. Try less."


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), explain_exhaustion("this", ""):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
