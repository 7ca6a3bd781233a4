"""Of many verdicts, the share that is right, and how far chance may have moved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gesso.storybook.judge import Verdict

EVERY = "all attributes"
"""What the share of right pairs of picture and attribute goes by."""


@dataclass(frozen=True)
class Shares:
    """The share of pictures that have each attribute, and of pairs of picture and attribute that are right.

    Attributes:
        drawn: of the pictures drawn.
        error: its standard error, the prompts being a sample of those that could be asked.
        ceiling: of renderings.
        chance: of pictures that were drawn for other prompts.
    """

    drawn: Mapping[str, float]
    error: Mapping[str, float]
    ceiling: Mapping[str, float]
    chance: Mapping[str, float]


def shares_of(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """For each attribute that was asked for, the share of verdicts on it that are right."""
    return {name: _share(pairs) for name, pairs in _pairs(verdicts).items()}


def errors_of(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The standard error of each share.

    It is that of a ratio of means over pictures, √Σ (rightᵢ − share · askedᵢ)² / Σ askedᵢ (Cochran 1977,
    section 6.3): of one attribute the binomial √(p (1 − p) / n), and of all together one that knows that a
    picture's attributes are right or wrong together.
    """
    errors = {}
    for name, pairs in _pairs(verdicts).items():
        share = _share(pairs)
        squares = sum((right - share * asked) ** 2 for right, asked in pairs)
        errors[name] = squares**0.5 / sum(asked for _, asked in pairs)
    return errors


Pairs = list[tuple[int, int]]
"""Of each picture, how much is right of how much that was asked."""


def _pairs(verdicts: Sequence[Verdict]) -> dict[str, Pairs]:
    names = {name: None for verdict in verdicts for name in verdict}
    pairs: dict[str, Pairs] = {
        name: [(int(verdict[name]), 1) for verdict in verdicts if name in verdict] for name in names
    }
    parts = [[right for name, right in verdict.items() if name != "whole"] for verdict in verdicts]
    return pairs | {EVERY: [(sum(part), len(part)) for part in parts]} if names else {}


def _share(pairs: Pairs) -> float:
    return sum(right for right, _ in pairs) / sum(asked for _, asked in pairs)
