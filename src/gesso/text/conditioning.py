"""Prompts to context: chunks of 77 tokens through the text encoder, weighed, side by side.

The text encoder reads 77 tokens at most, so a longer prompt is cut into chunks of 75, each with its own
start and end token, and the hidden states of the chunks are concatenated: cross-attention does not mind how
long its context is, and no text is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from gesso.errors import PromptError
from gesso.text.chunks import Chunk, Tokens, split_chunks
from gesso.text.emphasis import EMPHASES, Emphasis, Reading
from gesso.text.limits import MAX_CHUNKS
from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Text

ROWS_AT_ONCE = 64
"""Chunks the text encoder sees in one call, so that the longest prompt does not set its memory."""


class EncodeTokens(Protocol):
    """A text encoder: (b, n) int64 tokens to (b, n, width) hidden states, without the last layers."""

    def __call__(self, tokens: Tensor, skip_layers: int = 0, visible: Tensor | None = None) -> Tensor: ...


def encode_prompts(
    text_encoder: EncodeTokens,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Text],
    *,
    max_length: int = 77,
    clip_skip: int = 1,
    device: torch.device | None = None,
    emphasis: str = "a1111",
    comma_backtrack: int = 0,
    embeddings: Mapping[str, Sequence[int]] | None = None,
) -> Tensor:
    """Encode a batch of prompts, each distinct chunk once.

    A prompt shorter than the longest of the batch gets further chunks that encode the empty prompt.

    Args:
        prompts: b texts, at least one, as `Prompt.at` says them, or str to be taken literally; the negative
            prompts belong in the same call, since guidance needs contexts of one length.
        max_length: tokens a chunk, start and end included (``TextEncoderConfig.max_length``).
        clip_skip: 1 reads the last layer's hidden states, 2 the layer's before it, and so on; the final
            LayerNorm follows in any case.
        device: where the text encoder is.
        emphasis: a name of `EMPHASES`, the way of applying weights.
        comma_backtrack: see `split_chunks`.
        embeddings: see `split_chunks`.

    Returns:
        (b, max_length · k, width), where k is the number of chunks of the longest prompt.

    Raises:
        PromptError: a prompt is not valid Unicode, or too long; or all together have more chunks than
            ``MAX_CHUNKS``.
    """
    rows: list[list[Chunk]] = []
    for prompt in prompts:
        row = split_chunks(
            tokenizer, prompt, max_length, comma_backtrack=comma_backtrack, embeddings=embeddings
        )
        if len(prompts) * len(row) > MAX_CHUNKS:
            raise PromptError(
                f"{len(prompts):,} texts of {len(row):,} chunks are more than {MAX_CHUNKS:,} chunks",
                "Let a shorter prompt change from step to step, or a long one less often.",
                where="prompt",
            )
        rows.append(row)
    longest = max(len(row) for row in rows)
    (empty,) = split_chunks(tokenizer, "", max_length)
    rows = [row + [empty] * (longest - len(row)) for row in rows]

    distinct = list(dict.fromkeys(chunk for row in rows for chunk in row))
    hidden = HiddenStates(text_encoder, clip_skip - 1, device)
    hidden.encode(chunk.tokens for chunk in distinct)
    way = EMPHASES[emphasis]
    contexts = torch.stack([_context(way, chunk, empty.tokens, hidden) for chunk in distinct])
    places = {chunk: place for place, chunk in enumerate(distinct)}
    order = torch.tensor([[places[chunk] for chunk in row] for row in rows], device=device)  # (b, k)
    return contexts[order].flatten(1, 2)  # (b, k, max_length, width) -> (b, k · max_length, width)


def _context(way: Emphasis, chunk: Chunk, empty: Tokens, hidden: HiddenStates) -> Tensor:
    """(max_length, width); weights are applied in float32."""
    if not chunk.is_weighted:
        return hidden(chunk.tokens)
    exact = Reading(chunk, empty, lambda tokens, visible=None: hidden(tokens, visible).float())
    return way.function(exact).to(hidden(chunk.tokens).dtype)


class HiddenStates:
    """What a text encoder makes of tokens; asked for the same ones again, it remembers."""

    def __init__(self, text_encoder: EncodeTokens, skip_layers: int, device: torch.device | None) -> None:
        self.text_encoder = text_encoder
        self.skip_layers = skip_layers
        self.device = device
        self.known: dict[tuple[Tokens, tuple[bool, ...] | None], Tensor] = {}

    def encode(self, rows: Iterable[Tokens]) -> None:
        """Encode many at once, each distinct one once."""
        distinct = list(dict.fromkeys(rows))
        tokens = torch.tensor(distinct, dtype=torch.int64, device=self.device)  # (rows, n)
        parts = (self.text_encoder(part, self.skip_layers) for part in tokens.split(ROWS_AT_ONCE))
        hidden = (row for part in parts for row in part)  # (n, width) each
        self.known |= {(row, None): states for row, states in zip(distinct, hidden, strict=True)}

    def __call__(self, tokens: Tokens, visible: tuple[bool, ...] | None = None) -> Tensor:
        """(n, width) of n tokens; ``visible`` says which of them may be looked at."""
        if (tokens, visible) in self.known:
            pass
        elif visible is None:
            self.encode([tokens])
        else:
            row = torch.tensor([tokens], dtype=torch.int64, device=self.device)
            mask = torch.tensor([visible], device=self.device)
            (self.known[tokens, visible],) = self.text_encoder(row, self.skip_layers, mask)
        return self.known[tokens, visible]
