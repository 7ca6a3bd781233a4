"""Noise as NVIDIA GPUs draw it, computed on the CPU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gesso.diffusion.noise import GENERATORS, NoiseSource
from gesso.diffusion.philox import PhiloxGenerator, philox
from gesso.diffusion.rules import NOISE_SOURCES

SHAPE = (4, 8, 6)
ALL_ONES = 0xFFFFFFFF


def words(*values: int) -> tuple[np.ndarray, ...]:
    return tuple(np.array([value], dtype=np.uint64) for value in values)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ALL_ONES,) * 4, (ALL_ONES,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_known_answers_of_random123(counter: tuple[int, ...], key: tuple[int, int], expected: str) -> None:
    """The vectors that Salmon et al. publish with their library, ``kat_vectors``, philox4x32 10."""
    got = philox(words(*counter), key)  # pyright: ignore[reportArgumentType]
    assert " ".join(f"{int(word[0]):08x}" for word in got) == expected


def test_published_numbers() -> None:
    """Those AUTOMATIC1111's rng_philox.py gives for an NVIDIA GPU's seed 0."""
    published = [
        [-0.92466259, -0.42534415, -2.6438457, 0.14518388],
        [-0.12086647, -0.57972564, -0.62285122, -0.32838709],
        [-1.07454231, -0.36314407, -1.67105067, 2.26550497],
    ]
    assert torch.allclose(PhiloxGenerator(0).normal((3, 4)), torch.tensor(published), rtol=0, atol=1e-7)


def test_draws_are_normal_and_differ() -> None:
    generator = PhiloxGenerator(2**64 - 1)
    first, second = (generator.normal((4, 128, 128)) for _ in range(2))
    for draw in (first, second):
        assert abs(float(draw.mean())) < 4 / math.sqrt(draw.numel())
        assert abs(float(draw.var()) - 1) < 0.02
    assert abs(float((first * second).mean())) < 4 / math.sqrt(first.numel())
    assert float((first == PhiloxGenerator(2**32 - 1).normal((4, 128, 128))).float().mean()) < 0.01


@given(st.integers(0, 2**64 - 1), st.integers(0, 5))
def test_pictures_of_a_batch_are_slices_of_one_tensor(seed: int, index: int) -> None:
    batch = PhiloxGenerator(seed).normal((6, *SHAPE))
    assert torch.equal(PhiloxGenerator(seed).normal((1, *SHAPE), index), batch[index : index + 1])


def test_every_source_has_a_name_requests_know() -> None:
    assert tuple(GENERATORS) == NOISE_SOURCES


@pytest.mark.parametrize("source", NOISE_SOURCES)
def test_noise_does_not_depend_on_the_batch(source: str) -> None:
    together = NoiseSource([3, 4], SHAPE, source=source, eta_seed_delta=5)
    alone = NoiseSource([4], SHAPE, source=source, eta_seed_delta=5)
    for _ in range(2):
        assert torch.equal(together.start()[1:], alone.start())
        assert torch.equal(together()[1:], alone())
    ends = torch.tensor(1.5), torch.tensor(0.5)
    assert torch.equal(together.brownian(0.1, 9.0)(*ends)[1:], alone.brownian(0.1, 9.0)(*ends))


def test_what_is_drawn_after_the_start() -> None:
    """ENSD seeds it anew; ComfyUI draws it on the GPU, from the same seed, where the start is the CPU's."""
    plain, delta = NoiseSource([7], SHAPE), NoiseSource([7], SHAPE, eta_seed_delta=31337)
    assert torch.equal(plain.start(), delta.start())
    assert torch.equal(delta(), NoiseSource([31344], SHAPE).start())
    mixed = NoiseSource([7], SHAPE, source="cpu_then_cuda")
    assert torch.equal(mixed.start(), NoiseSource([7], SHAPE).start())
    assert torch.equal(mixed(), PhiloxGenerator(7).normal((1, *SHAPE)))
    last = NoiseSource([2**64 - 1], SHAPE, eta_seed_delta=1)
    last.start()
    assert torch.equal(last(), NoiseSource([0], SHAPE).start())


def test_a_comfyui_batch_is_one_tensor_of_one_seed() -> None:
    """``torch.randn((b, 4, h, w))`` on the CPU, then the same on the GPU."""
    expected = torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(5))
    steps = PhiloxGenerator(5)
    batch = NoiseSource([5, 5], SHAPE, source="cpu_then_cuda", batch_index=1)
    assert torch.equal(batch.start(), expected[1:])
    for _ in range(2):
        assert torch.equal(batch(), steps.normal((3, *SHAPE))[1:])


def test_the_mean_of_a_posterior_takes_no_draw() -> None:
    noise = NoiseSource([1, 2], SHAPE, draws_posterior=False)
    assert torch.equal(noise.posterior(), torch.zeros(2, *SHAPE))
    assert torch.equal(noise(), NoiseSource([1, 2], SHAPE)())
