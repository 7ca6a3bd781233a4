"""The first layer of the prompt language: what a prompt says at which step.

A prompt becomes words: tokens, and choices among words. The brackets that weigh stay tokens, for the second
layer (`gesso.text.weighing`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gesso.errors import PromptError
from gesso.text.lexer import Token, read_number
from gesso.text.limits import MAX_NESTING


@dataclass(frozen=True)
class At:
    """Which step it is.

    Attributes:
        step: 1 … ``steps``.
        steps: of this pass.
        before: steps of the pass before it, whose schedule it goes on with: there shares above 1, and steps
            above ``before``, are in this pass. 0 in a first pass.
    """

    step: int
    steps: int
    before: int = 0

    @property
    def passes(self) -> int:
        """Passes before this one: 0 or 1."""
        return int(self.before > 0)


@dataclass(frozen=True)
class Scheduled:
    """``[before:after:when]``.

    Attributes:
        when: the last step that says ``before``, or its share of the steps.
        is_share: which of the two.
        depth: how many choices it is one inside the other.
    """

    before: Words
    after: Words
    when: float
    is_share: bool
    depth: int

    def pick(self, at: At) -> Words:
        last = math.floor((self.when - at.passes) * at.steps) if self.is_share else self.when - at.before
        return self.before if at.step <= last else self.after


@dataclass(frozen=True)
class Alternating:
    """``[a|b|…]``."""

    options: tuple[Words, ...]
    depth: int

    def pick(self, at: At) -> Words:
        return self.options[(at.step - 1) % len(self.options)]


Choice: TypeAlias = Scheduled | Alternating
Words: TypeAlias = tuple[Token | Choice, ...]


@dataclass(frozen=True)
class _Open:
    """A bracket that is open: which, where its contents begin, and the separators among them."""

    kind: Literal["(", "["]
    begin: int
    separators: list[int]


_OPENER: dict[str, Literal["(", "["]] = {")": "(", "]": "["}


def read_words(tokens: list[Token], where: str) -> Words:
    """Find the choices among tokens.

    One pass with a stack, and without going back: a bracket that turns out to have no partner hands its
    separators to the one around it.

    Args:
        where: the request field, for errors.

    Raises:
        PromptError: choices are nested deeper than ``MAX_NESTING``; a step is NaN or infinite.
    """
    words: list[Token | Choice] = []
    stack: list[_Open] = []
    opened = {"(": 0, "[": 0}
    for token in tokens:
        words.append(token)
        if token.kind in ("(", "["):
            stack.append(_Open(token.kind, len(words), []))
            opened[token.kind] += 1
        elif token.kind in (":", "|") and stack:
            stack[-1].separators.append(len(words) - 1)
        elif token.kind in (")", "]") and opened[_OPENER[token.kind]]:
            closed = [stack.pop()]
            while closed[-1].kind != _OPENER[token.kind]:
                closed.append(stack.pop())
            for each in closed:
                opened[each.kind] -= 1
            begin = closed[-1].begin
            separators = [place for each in reversed(closed) for place in each.separators]
            choice = _read_choice(words, begin, separators, where) if token.kind == "]" else None
            if choice is not None:
                words[begin - 1 :] = [choice]
    return tuple(words)


def _read_choice(
    words: list[Token | Choice], begin: int, separators: list[int], where: str
) -> Choice | None:
    """What square brackets hold, if it is a choice; ``words`` ends with the closing one."""
    end = len(words) - 1
    colons = [place for place in separators if _kind(words[place]) == ":"]
    if colons:
        when = words[end - 1]
        if len(colons) > 2 or colons[-1] != end - 2 or not isinstance(when, Token):
            return None
        number = read_number(when, "the step", where)
        if number is None:
            return None
        is_share = "." in when.text or number < 1
        before = words[begin : colons[0]] if len(colons) == 2 else []
        after = words[colons[-2] + 1 if len(colons) == 2 else begin : colons[-1]]
        depth = _depth([*before, *after], when, where)
        return Scheduled(tuple(before), tuple(after), number, is_share, depth)
    if separators:
        edges = [begin - 1, *separators, end]
        options = tuple(tuple(words[edges[i] + 1 : edges[i + 1]]) for i in range(len(edges) - 1))
        return Alternating(options, _depth(words[begin:end], words[separators[0]], where))
    return None


def _kind(word: Token | Choice) -> str:
    return word.kind if isinstance(word, Token) else "choice"


def _depth(inside: list[Token | Choice], place: Token | Choice, where: str) -> int:
    depth = 1 + max((word.depth for word in inside if not isinstance(word, Token)), default=0)
    if depth > MAX_NESTING:
        raise PromptError(
            f"[…] are nested deeper than {MAX_NESTING}",
            "Use fewer, one inside the other.",
            where=where,
            position=place.position if isinstance(place, Token) else None,
        )
    return depth


def choices_in(words: Words) -> Iterator[Choice]:
    """All choices, those inside others too."""
    for word in words:
        if isinstance(word, Scheduled):
            yield word
            yield from choices_in(word.before)
            yield from choices_in(word.after)
        elif isinstance(word, Alternating):
            yield word
            for option in word.options:
                yield from choices_in(option)


def said(words: Words, at: At) -> Iterator[Token]:
    """The tokens that are left at a step, where each choice is made."""
    for word in words:
        if isinstance(word, Token):
            yield word
        else:
            yield from said(word.pick(at), at)
