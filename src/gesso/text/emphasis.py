"""Ways of applying weights: from hidden states, and a weight a token, to the context.

Each is a function of one chunk; the context is their results side by side. A chunk whose weights are all 1
is its hidden states, whichever way. The ways differ in what a weight scales: the hidden states themselves,
or their distance from those of a prompt that says nothing, or says less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from gesso.text.chunks import Chunk, Tokens

LEAST = 1e-5
"""Weights below it count as this where `compel` would come to infinity."""


class Hidden(Protocol):
    """The text encoder's hidden states (n, d) of any n tokens.

    ``visible`` says which of the tokens may be looked at; None is all.
    """

    def __call__(self, tokens: Tokens, visible: tuple[bool, ...] | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Reading:
    """A chunk, and what the text encoder makes of it.

    Attributes:
        chunk: n tokens and their weights.
        empty_tokens: the chunk of the empty prompt.
        hidden: the text encoder.
    """

    chunk: Chunk
    empty_tokens: Tokens
    hidden: Hidden

    @property
    def z(self) -> Tensor:
        """(n, d) the chunk's hidden states."""
        return self.hidden(self.chunk.tokens)

    @property
    def e(self) -> Tensor:
        """(n, d) those of the empty prompt."""
        return self.hidden(self.empty_tokens)

    @property
    def w(self) -> Tensor:
        """(n, 1) the weights."""
        return self.z.new_tensor(self.chunk.weights)[:, None]

    def without(self, begin: int, end: int) -> Tensor:
        """(n, d) hidden states where no token may look at those from ``begin`` up to ``end``."""
        places = range(len(self.chunk.tokens))
        return self.hidden(self.chunk.tokens, tuple(not begin <= place < end for place in places))


def a1111(read: Reading) -> Tensor:
    """``w · z``, rescaled so that its mean is what it was: ``w · z · mean(z) / mean(w · z)``.

    The mean is one number, over all tokens and channels of the chunk. If the weighted mean is 0, no scale
    restores it, and none is applied. AUTOMATIC1111, ``modules/sd_emphasis.py``, "Original".
    """
    weighted = read.w * read.z
    mean = weighted.mean()
    return weighted * (read.z.mean() / mean) if mean != 0 else weighted


def no_norm(read: Reading) -> Tensor:
    """``w · z`` (AUTOMATIC1111, ``modules/sd_emphasis.py``, "No norm")."""
    return read.w * read.z


def comfy(read: Reading) -> Tensor:
    """``e + w · (z − e)``: from the empty prompt's hidden states towards, and past, the token's own.

    ComfyUI, ``comfy/sd1_clip.py``, ``encode_token_weights``.
    """
    return read.e + read.w * (read.z - read.e)


def compel(read: Reading) -> Tensor:
    """As `comfy`; and each phrase below weight 1 is blended with the prompt in which nobody looks at it.

    With f(z) = e + w · (z − e), phrases i of weight wᵢ < 1 (neighbouring tokens of one weight), zᵢ the
    hidden states with phrase i hidden from attention, and aᵢ = tan((1 − wᵢ) · π/2):

        (f(z) + Σ aᵢ · f(zᵢ)) / (1 + Σ aᵢ)

    so that at 0.5 it is half way there, and at 0 the phrase is as good as gone. Weights below 1e-5 count as
    1e-5 in aᵢ. Compel, ``embeddings_provider.py``, with its default ``DownweightMode.MASK``; there Σ aᵢ
    goes over all chunks of a long prompt, here over the chunk's own phrases.
    """
    blend, total = comfy(read), 1.0
    for begin, end, weight in _runs(read.chunk.weights):
        if weight < 1:
            amount = math.tan((1 - max(weight, LEAST)) * math.pi / 2)
            blend = blend + amount * (read.e + read.w * (read.without(begin, end) - read.e))
            total += amount
    return blend / total


def ignore(read: Reading) -> Tensor:
    """``z``: weights are read, and not applied (AUTOMATIC1111's "Ignore")."""
    return read.z


@dataclass(frozen=True)
class Emphasis:
    """A way of applying weights.

    Attributes:
        name: what requests say.
        label: what AUTOMATIC1111's parameters of a picture call it; its own names where it has the way.
        function: (a chunk of n tokens) -> (n, d).
        is_literal: whether prompts are text as they stand, and no language is read at all.
    """

    name: str
    label: str
    function: Callable[[Reading], Tensor]
    is_literal: bool = False


EMPHASES: dict[str, Emphasis] = {
    way.name: way
    for way in (
        Emphasis("a1111", "Original", a1111),
        Emphasis("no_norm", "No norm", no_norm),
        Emphasis("comfy", "comfy", comfy),
        Emphasis("compel", "compel", compel),
        Emphasis("ignore", "Ignore", ignore),
        Emphasis("none", "None", ignore, is_literal=True),
    )
}


def _runs(weights: tuple[float, ...]) -> Iterator[tuple[int, int, float]]:
    """Where neighbours of one weight begin and end, and that weight."""
    begin = 0
    for weight, run in groupby(weights):
        end = begin + len(list(run))
        yield begin, end, weight
        begin = end
