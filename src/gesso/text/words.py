"""The words of a prompt, and which rows of the context are theirs."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gesso.text.chunks import cuts, split_names
from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Section, Text

JOINERS = "'’-_"
"""Between two letters they are part of a word: "don't", "red-haired"."""


Span = tuple[int, int]
"""The first character and the one after the last."""


class Word(NamedTuple):
    """A word as it was written, and the rows of the context that its tokens became."""

    text: str
    rows: tuple[int, ...]


def words_of(
    tokenizer: Tokenizer,
    text: Text,
    max_length: int = 77,
    *,
    comma_backtrack: int = 0,
    embeddings: Mapping[str, Sequence[int]] | None = None,
) -> list[Word]:
    """The words that a prompt says at a step, in their order; a word said twice is there twice.

    A word is a run of letters, digits, accents and emoji, with apostrophes and hyphens inside; punctuation
    is none. Where the weight changes inside a word, there are two.

    Args:
        text: as `gesso.text.prompt.Prompt.at` says it.
        max_length: as for `gesso.text.chunks.split_chunks`, which cuts the text into the same chunks.
        comma_backtrack: likewise.
        embeddings: likewise; the name of an embedding is one word.
    """
    room = max_length - 2
    comma = tokenizer.encode(",") if comma_backtrack else []
    words: list[Word] = []
    chunk = 0
    for section in text:
        ids: list[int] = []
        said: list[tuple[str, range]] = []  # and which of the section's tokens
        for piece, tokens, spans in _pieces(tokenizer, section, embeddings or {}):
            starts, ends = ([span[side] for _, span in tokens] for side in (0, 1))
            for begin, end in spans:
                own = range(bisect_right(ends, begin), bisect_left(starts, end))
                said.append((piece[begin:end], range(len(ids) + own.start, len(ids) + own.stop)))
            ids += (token for token, _ in tokens)
        rows: list[int] = []
        for begin, end in cuts(ids, room, comma_backtrack, comma):
            first = chunk * max_length + 1  # after the start token
            rows += range(first, first + end - begin)
            chunk += 1
        words += (Word(word, tuple(rows[token] for token in tokens)) for word, tokens in said)
    return words


def _pieces(
    tokenizer: Tokenizer, section: Section, embeddings: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, list[tuple[int, Span]], list[Span]]]:
    """The texts that the tokenizer sees by themselves, their tokens, and where their words are."""
    for span in section:
        for piece in split_names(span.text, embeddings):
            known = embeddings.get(piece.lower())
            if known is None:
                tokens = zip(tokenizer.encode(piece), tokenizer.spans(piece), strict=True)
                yield piece, list(tokens), word_spans(piece)
            else:
                whole = (0, len(piece))
                yield piece, [(token, whole) for token in known], [whole]


def word_spans(text: str) -> list[Span]:
    """Where the words of a text are."""
    spans: list[Span] = []
    begin = None
    for place, letter in enumerate(text + " "):
        joins = letter in JOINERS and _is_letter(text[place + 1 : place + 2])
        if _is_letter(letter) or (joins and begin is not None):
            begin = place if begin is None else begin
        elif begin is not None:
            spans.append((begin, place))
            begin = None
    return spans


def _is_letter(letter: str) -> bool:
    """Letters, digits, what is joined to them (accents, the parts of an emoji), and pictograms."""
    category = unicodedata.category(letter) if letter else "Zs"
    return category[0] in "LNM" or category in ("So", "Sk", "Cf")
