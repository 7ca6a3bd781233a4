"""Text to the chunks of 77 tokens that the text encoder reads, with the weight of each token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Section, Span, Text

Tokens = tuple[int, ...]


class Chunk(NamedTuple):
    """What the text encoder reads at once: start, up to 75 tokens, end, padding.

    Attributes:
        tokens: ids.
        weights: one a token; 1 for start, end and padding.
    """

    tokens: Tokens
    weights: tuple[float, ...]

    @property
    def is_weighted(self) -> bool:
        return any(weight != 1 for weight in self.weights)


def split_chunks(
    tokenizer: Tokenizer,
    text: str | Text,
    max_length: int = 77,
    *,
    comma_backtrack: int = 0,
    embeddings: Mapping[str, Sequence[int]] | None = None,
) -> list[Chunk]:
    """The text's tokens in chunks of ``max_length``, at least one; each section begins a chunk of its own.

    Args:
        text: as `Prompt.at` says it, or a str that is taken literally.
        comma_backtrack: where a chunk is full, and a comma is among its last so many tokens, it ends after
            that comma; AUTOMATIC1111's "prompt word wrap length limit", 20 there. 0 fills every chunk.
        embeddings: names, and the token ids that stand for their vectors in the text encoder.

    Raises:
        PromptError: it is not valid Unicode, or too long.
    """
    if isinstance(text, str):
        text = ((Span(text),),)
    room = max_length - 2
    comma = tokenizer.encode(",") if comma_backtrack else []
    chunks: list[Chunk] = []
    for section in text:
        tokens = list(_weighted_tokens(tokenizer, section, embeddings or {}))
        ids = [token for token, _ in tokens]
        for begin, end in cuts(ids, room, comma_backtrack, comma):
            chunks.append(_chunk(tokenizer, tokens[begin:end], room))
    return chunks


def _weighted_tokens(
    tokenizer: Tokenizer, section: Section, embeddings: Mapping[str, Sequence[int]]
) -> Iterator[tuple[int, float]]:
    for text, weight in ((span.text, span.weight) for span in section):
        for piece in split_names(text, embeddings):
            known = embeddings.get(piece.lower())
            for token in tokenizer.encode(piece) if known is None else known:
                yield token, weight


def split_names(text: str, embeddings: Mapping[str, Sequence[int]]) -> list[str]:
    """The text in pieces, of which some are whole names."""
    if not embeddings:
        return [text]
    names = "|".join(re.escape(name) for name in sorted(embeddings, key=len, reverse=True))
    return re.split(rf"(?<!\w)({names})(?!\w)", text, flags=re.IGNORECASE)


def cuts(ids: list[int], room: int, comma_backtrack: int, comma: list[int]) -> Iterator[tuple[int, int]]:
    """Where each chunk begins and ends."""
    begin = 0
    while len(ids) - begin > room:
        end = begin + room
        if [ids[end]] != comma:
            nearest = range(end - 1, max(end - comma_backtrack, begin) - 1, -1)
            end = next((place + 1 for place in nearest if [ids[place]] == comma), end)
        yield begin, end
        begin = end
    yield begin, len(ids)


def _chunk(tokenizer: Tokenizer, tokens: list[tuple[int, float]], room: int) -> Chunk:
    ids = [token for token, _ in tokens]
    weights = [weight for _, weight in tokens]
    empty = room - len(tokens)
    return Chunk(
        (tokenizer.start, *ids, tokenizer.end, *[tokenizer.pad] * empty),
        (1.0, *weights, 1.0, *[1.0] * empty),
    )
