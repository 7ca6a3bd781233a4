"""A model's score in the storybook world, for people."""

from __future__ import annotations

from collections.abc import Mapping

from gesso.cli.table import table
from gesso.storybook.judge import ATTRIBUTES
from gesso.storybook.score import Score
from gesso.storybook.shares import EVERY


def in_words(result: Score, heading: str) -> str:
    """The score for people."""
    head = ("attribute", "seen", "ceiling", "chance", "unseen", "ceiling", "chance")
    lines = [heading, "", table(head, rows_of(result)), "", *remarks(result), ""]
    diversity = "–" if result.diversity is None else f"{result.diversity:.2f}"
    measured = [
        ("autoencoder", f"{result.psnr:.1f} dB", "PSNR of renderings"),
        ("Fréchet distance", f"{result.frechet:.3g}", f"two renderings: {result.frechet_ceiling:.3g}"),
        ("diversity", diversity, "over seeds; 1 is that of renderings"),
    ]
    return "\n".join([*lines, table(measured[0], measured[1:])])


def rows_of(result: Score) -> list[tuple[str, ...]]:
    """A line for each attribute that any prompt asks for and that counts."""

    def percent(shares: Mapping[str, float], attribute: str) -> str:
        return f"{shares[attribute]:.1%}" if attribute in shares else "–"

    parts = (result.seen, result.unseen)
    columns = [shares for part in parts for shares in (part.drawn, part.ceiling, part.chance)]
    return [
        (attribute, *(percent(shares, attribute) for shares in columns))
        for attribute in (*ATTRIBUTES, EVERY, "whole")
        if any(attribute in shares for shares in columns)
    ]


def remarks(result: Score) -> list[str]:
    """How sure the shares are, and which attributes do not count."""
    lines = []
    for name in (EVERY, "whole"):
        if name not in result.seen.error or name not in result.unseen.error:
            continue
        seen, unseen = result.seen.error[name], result.unseen.error[name]
        lines.append(f"standard error of {name}: {seen:.1%} seen, {unseen:.1%} unseen")
    if result.constant:
        always = ", ".join(f"{name} ({value})" for name, value in result.constant.items())
        lines.append(f"not counted, for this world has one alone: {always}")
    if result.left_out:
        read = ", ".join(f"{each} ({share:.1%})" for each, share in result.left_out.items())
        lines.append(f"left out, for the probe reads less than 99 % of renderings rightly: {read}")
    return lines
