"""The second layer of the prompt language: what a prompt says at a step, in pieces of one weight each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gesso.errors import PromptError
from gesso.text.lexer import Token, read_number

STRONGER = 1.1
"""What round brackets multiply with; square ones divide by it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text and how much it weighs."""

    text: str
    weight: float = 1.0


Section = tuple[Span, ...]
"""What stands between two BREAKs. Neighbours have different weights; the tokenizer sees each by itself."""

Text = tuple[Section, ...]
"""What a prompt says at one step: at least one section, which may be empty."""


def weigh(tokens: Iterable[Token], where: str) -> Text:
    """Read brackets as weights, one pair around another multiplied, and BREAK as an end of a section.

    Round and square brackets are told apart: one kind may be opened inside the other and closed outside.

    Raises:
        PromptError: a weight is NaN or infinite.
    """
    tokens = _joined(tokens)
    factors, silent = _partners(tokens, where)
    weights = {"(": [1.0], "[": [1.0]}
    sections: list[list[Span]] = [[]]
    for place, token in enumerate(tokens):
        if place in factors:  # an opening bracket
            weight = weights[token.kind][-1] * factors[place]
            if not math.isfinite(weight):
                raise PromptError(
                    "the weights multiply to infinity",
                    "Use fewer brackets.",
                    where=where,
                    position=token.position,
                )
            weights[token.kind].append(weight)
        elif place in silent:
            if token.kind in _PARTNER:
                weights[_PARTNER[token.kind]].pop()
        elif token.kind == "BREAK":
            sections.append([])
        else:
            _say(sections[-1], token.text, weights["("][-1] * weights["["][-1])
    if len(sections) > 1 and not "".join(span.text for span in sections[-1]).strip():
        sections.pop()  # a BREAK at the end breaks nothing off
    return tuple(map(tuple, sections))


_PARTNER = {")": "(", "]": "["}


def _joined(tokens: Iterable[Token]) -> list[Token]:
    """The same tokens; text that came together when choices were made is one token."""
    joined: list[Token] = []
    for token in tokens:
        if joined and joined[-1].kind == token.kind == "text":
            last = joined.pop()
            token = Token("text", last.text + token.text, last.position)
        joined.append(token)
    return joined


def _partners(tokens: list[Token], where: str) -> tuple[dict[int, float], set[int]]:
    """By what each opening bracket multiplies, and which tokens close one, so that they say nothing."""
    factors: dict[int, float] = {}
    silent: set[int] = set()
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for place, token in enumerate(tokens):
        if token.kind in opened:
            opened[token.kind].append(place)
            factors[place] = STRONGER if token.kind == "(" else 1 / STRONGER
        elif token.kind in _PARTNER and opened[_PARTNER[token.kind]]:
            opener = opened[_PARTNER[token.kind]].pop()
            silent.add(place)
            if token.kind == ")" and tokens[place - 2].kind == ":":
                weight = read_number(tokens[place - 1], "the weight", where)
                if weight is not None:
                    factors[opener] = weight
                    silent.update((place - 2, place - 1))
    return factors, silent


def _say(section: list[Span], text: str, weight: float) -> None:
    if section and section[-1].weight == weight:
        text = section.pop().text + text
    section.append(Span(text, weight))
