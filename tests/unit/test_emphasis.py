"""Each way of applying weights, on numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gesso.text.chunks import Chunk, Tokens
from gesso.text.emphasis import EMPHASES, Reading

# Three tokens (the first stands for start), two channels.
Z = [[1.0, 3.0], [2.0, -4.0], [6.0, 4.0]]
EMPTY = [[1.0, 3.0], [1.0, 1.0], [0.0, 2.0]]
WITHOUT = {  # hidden states where these places may not be looked at
    (1,): [[1.0, 3.0], [0.0, -2.0], [5.0, 5.0]],
    (2,): [[1.0, 3.0], [2.0, -4.0], [3.0, 1.0]],
    (1, 2): [[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]],
}


def hidden(tokens: Tokens, visible: tuple[bool, ...] | None = None) -> Tensor:
    if tokens == (0, 9, 9):
        return torch.tensor(EMPTY)
    assert tokens == (0, 1, 2)
    if visible is None:
        return torch.tensor(Z)
    return torch.tensor(WITHOUT[tuple(place for place, seen in enumerate(visible) if not seen)])


def weighed(name: str, *weights: float) -> list[list[float]]:
    chunk = Chunk((0, 1, 2), weights)
    return EMPHASES[name].function(Reading(chunk, (0, 9, 9), hidden)).tolist()


def about(rows: list[list[float]]) -> list[object]:
    return [pytest.approx(row) for row in rows]


def test_a1111_scales_and_restores_the_mean() -> None:
    """Means 12 / 6 before and 17 / 6 after: all times 12 / 17."""
    scaled = [[1.0, 3.0], [1.0, -2.0], [8.4, 5.6]]
    assert sum(map(sum, scaled)) == pytest.approx(17)
    expected = [[value * 12 / 17 for value in row] for row in scaled]
    assert weighed("a1111", 1, 0.5, 1.4) == about(expected)
    assert sum(map(sum, weighed("a1111", 1, 0.5, 1.4))) == pytest.approx(12)


def test_a1111_without_a_mean_to_restore_only_scales() -> None:
    weights = (1, -2, -0.8)  # 4 + 4 − 8
    assert weighed("a1111", *weights) == about([[1, 3], [-4, 8], [-4.8, -3.2]])


def test_no_norm_only_scales() -> None:
    assert weighed("no_norm", 1, 0.5, 1.4) == about([[1, 3], [1, -2], [8.4, 5.6]])


def test_comfy_goes_from_the_empty_prompt() -> None:
    """(1, 1) + 0.5 · (1, −5), and (0, 2) + 1.5 · (6, 2)."""
    assert weighed("comfy", 1, 0.5, 1.5) == about([[1, 3], [1.5, -1.5], [9, 5]])
    assert weighed("comfy", 1, 0, 1) == about([[1, 3], [1, 1], [6, 4]])
    assert weighed("comfy", 1, -1, 1) == about([[1, 3], [0, 6], [6, 4]])


def test_compel_is_comfy_above_one() -> None:
    assert weighed("compel", 1, 1.5, 2) == about(weighed("comfy", 1, 1.5, 2))


def test_compel_blends_with_the_prompt_that_lacks_a_phrase() -> None:
    """At 0.5, tan(π/4) = 1: half way from f(z) to f(z₁), where f is comfy's."""
    f_z = [[1.0, 3.0], [1.5, -1.5], [6.0, 4.0]]
    f_1 = [[1.0, 3.0], [0.5, -0.5], [5.0, 5.0]]
    middle = [[(a + b) / 2 for a, b in zip(p, q, strict=True)] for p, q in zip(f_z, f_1, strict=True)]
    assert weighed("compel", 1, 0.5, 1) == about(middle)


def test_compel_takes_each_phrase_away_by_itself() -> None:
    """Weights 0.5 and 0.25 are two phrases, 0.5 and 0.5 one."""
    a, b = 1.0, math.tan(0.75 * math.pi / 2)
    f_z, f_1, f_2 = -1.5, -0.5, -1.5  # second token, second channel
    value = (f_z + a * f_1 + b * f_2) / (1 + a + b)
    assert weighed("compel", 1, 0.5, 0.25)[1][1] == pytest.approx(value)
    f_z, f_12 = (1 + 0.5 * (-4 - 1)), (1 + 0.5 * (0 - 1))
    assert weighed("compel", 1, 0.5, 0.5)[1][1] == pytest.approx((f_z + f_12) / 2)


@pytest.mark.parametrize("weight", [0.0, -3.0])
def test_compel_at_nothing_is_the_prompt_without(weight: float) -> None:
    assert weighed("compel", 1, weight, 1)[2] == pytest.approx(WITHOUT[1,][2], abs=1e-3)


@pytest.mark.parametrize("name", ["ignore", "none"])
def test_some_apply_no_weights(name: str) -> None:
    assert weighed(name, 1, 0.5, 1.5) == Z


@pytest.mark.parametrize("name", EMPHASES)
def test_weights_of_one_are_no_change(name: str) -> None:
    assert weighed(name, 1, 1, 1) == about(Z)
