"""Prompts to context: chunks of 77 tokens through the text encoder, side by side.

The text encoder reads 77 tokens at most, so a longer prompt is cut into chunks of 75, each with its own
start and end token, and the hidden states of the chunks are concatenated: cross-attention does not mind how
long its context is, and no text is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from gesso.text.tokenizer import Tokenizer

Chunk = tuple[int, ...]

ROWS_AT_ONCE = 64
"""Chunks the text encoder sees in one call, so that the longest prompt does not set its memory."""


class EncodeTokens(Protocol):
    """A text encoder: (b, n) int64 tokens to (b, n, width) hidden states, without the last layers."""

    def __call__(self, tokens: Tensor, skip_layers: int = 0) -> Tensor: ...


def encode_prompts(
    text_encoder: EncodeTokens,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    max_length: int = 77,
    clip_skip: int = 1,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Encode the prompts of one batch to equally long contexts.

    A prompt shorter than the longest of the batch gets further chunks that encode the empty prompt.

    Args:
        prompts: b texts, at least one; the negative prompts belong in the same call, since guidance needs
            contexts of one length.
        max_length: tokens a chunk, start and end included (``TextEncoderConfig.max_length``).
        clip_skip: 1 reads the last layer's hidden states, 2 the layer's before it, and so on; the final
            LayerNorm follows in any case.
        device: where the text encoder is.

    Returns:
        (b, max_length · k, width), where k is the number of chunks of the longest prompt.

    Raises:
        PromptError: a prompt is not valid Unicode, or too long.
    """
    rows = [split_chunks(tokenizer, prompt, max_length) for prompt in prompts]
    longest = max(len(row) for row in rows)
    (empty,) = split_chunks(tokenizer, "", max_length)
    rows = [row + [empty] * (longest - len(row)) for row in rows]

    distinct = list(dict.fromkeys(chunk for row in rows for chunk in row))
    tokens = torch.tensor(distinct, dtype=torch.int64, device=device)  # (distinct, max_length)
    hidden = torch.cat([text_encoder(part, clip_skip - 1) for part in tokens.split(ROWS_AT_ONCE)])
    places = {chunk: place for place, chunk in enumerate(distinct)}
    order = torch.tensor([[places[chunk] for chunk in row] for row in rows], device=device)  # (b, k)
    return hidden[order].flatten(1, 2)  # (b, k, max_length, width) -> (b, k · max_length, width)


def split_chunks(tokenizer: Tokenizer, text: str, max_length: int = 77) -> list[Chunk]:
    """The text's tokens in chunks of ``max_length``: start, text, end, padding; at least one chunk."""
    room = max_length - 2
    ids = tokenizer.encode(text)
    chunks: list[Chunk] = []
    for begin in range(0, max(len(ids), 1), room):
        part = ids[begin : begin + room]
        padding = [tokenizer.pad] * (room - len(part))
        chunks.append((tokenizer.start, *part, tokenizer.end, *padding))
    return chunks
