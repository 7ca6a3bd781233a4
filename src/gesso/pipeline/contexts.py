"""Contexts of one length for the prompts that are drawn together, in two ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

from torch import Tensor

from gesso.errors import RequestError
from gesso.text.weighing import Text

Encode = Callable[[Sequence[Text]], Tensor]
"""Texts -> (b, n, 768), the shorter filled up with chunks of the empty prompt."""

Together = tuple[Text, ...]
MAX_REPEATED = 64
"""Chunks that contexts are repeated up to."""


def filled_up(said: Sequence[Together], encode: Encode) -> dict[Together, tuple[Tensor, ...]]:
    """The contexts of texts that are drawn together, (1, n, 768) each: all are as long as the longest."""
    texts = list(dict.fromkeys(text for together in said for text in together))
    rows = dict(zip(texts, encode(texts).split(1), strict=True))
    return {together: tuple(rows[text] for text in together) for together in dict.fromkeys(said)}


def repeated(said: Sequence[Together], encode: Encode, chunk: int) -> dict[Together, tuple[Tensor, ...]]:
    """The same, but what each prompt says keeps the length it has among what it says at other steps.

    Where two drawn together differ in length, both are repeated until they do not: attention is a mean of
    values by weights that sum to one, and does not change if each value is there twice.

    Args:
        chunk: tokens a chunk, for the message.

    Raises:
        RequestError: no length of at most ``MAX_REPEATED`` chunks is a multiple of theirs.
    """
    parts: list[dict[Text, Tensor]] = []
    for part in zip(*said, strict=True):
        texts = list(dict.fromkeys(part))
        parts.append(dict(zip(texts, encode(texts).split(1), strict=True)))
    contexts: dict[Together, tuple[Tensor, ...]] = {}
    for together in dict.fromkeys(said):
        rows = [part[text] for part, text in zip(parts, together, strict=True)]
        length = lcm(*(row.shape[1] for row in rows))
        if length > MAX_REPEATED * chunk and length > max(row.shape[1] for row in rows):
            chunks = " and ".join(str(row.shape[1] // chunk) for row in rows)
            raise RequestError(
                f"prompts of {chunks} chunks have too little in common to be repeated to one length",
                "Set it, or write prompts of more equal length.",
                where="pad_prompts",
            )
        contexts[together] = tuple(row.repeat(1, length // row.shape[1], 1) for row in rows)
    return contexts
