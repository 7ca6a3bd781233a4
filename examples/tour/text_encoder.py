"""Station 2: what the text encoder tells words apart by."""

from __future__ import annotations

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from gesso.pipeline.pipeline import Pipeline
from gesso.text.weighing import Span
from gesso.text.words import words_of

from .matrix import matrix
from .shown import Shown, significant
from .walk import contexts

COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "black", "grey"
)  # fmt: skip
NOUNS = (
    "mountain", "castle", "house", "tree", "pine tree", "mushroom", "flower", "car", "boat", "balloon",
    "kite", "rocket", "lighthouse", "windmill", "train", "cat", "dog", "duck", "bird", "butterfly",
)  # fmt: skip
READINGS = (
    "a house",
    "a red house",
    "a blue house",
    "a pink house",
    "a red house, at night",
    "at night, a red house",
    "a pine tree beside a red house",
    "a red car beside a house",
)
"""Prompts that say "house" with other neighbours."""


class Word(NamedTuple):
    """One word of a prompt, as a vector.

    Attributes:
        embedding: (d,) what the table of tokens has for its last token, wherever it stands.
        state: (d,) what the text encoder makes of that token in its place: what the UNet reads.
    """

    embedding: Tensor
    state: Tensor


def station(pipe: Pipeline) -> Shown:
    said = [read_word(pipe, f"a {word}") for word in COLOURS + NOUNS]
    before, after = (similarity(torch.stack(each)) for each in zip(*said, strict=True))
    house = similarity(torch.stack([read_word(pipe, prompt, "house").state for prompt in READINGS]))
    names = list(COLOURS + NOUNS)
    return Shown(
        {
            "words": side_by_side(
                matrix(before, names, "the token's embedding, before the text encoder"),
                matrix(after, names, "its hidden state, after the text encoder"),
            ),
            "one-word": matrix(house, list(READINGS), 'hidden states of "house"', cell=40, written=True),
        },
        {
            **{f"{name}_embeddings": value for name, value in groups(before).items()},
            **{f"{name}_states": value for name, value in groups(after).items()},
            **pairs(after),
            "pine_embeddings": significant(of_pair(before, "tree", "pine tree")),
            "pine_states": significant(of_pair(after, "tree", "pine tree")),
            "tokens": pipe.config.text_encoder.max_length,
            "width": pipe.config.text_encoder.width,
            "leak": significant(house[0, 7].item()),
            "leak_red": significant(house[1, 7].item()),
            "red_blue_house": significant(house[1, 2].item()),
            "plain_red_house": significant(house[0, 1].item()),
            "plain_blue_house": significant(house[0, 2].item()),
            "least_house": significant(house.min().item()),
            "later_words": significant(house[1, 4].item(), 6),
        },
    )


def read_word(pipe: Pipeline, prompt: str, word: str | None = None) -> Word:
    """The vectors of a word of a prompt, or of its last word; of several tokens, the last one's."""
    length = pipe.config.text_encoder.max_length
    found = words_of(pipe.tokenizer, ((Span(prompt),),), length)
    row = next(each.rows[-1] for each in reversed(found) if word in (None, each.text))
    context, _ = contexts(pipe, prompt)
    tokens = torch.tensor([pipe.tokenizer.encode(prompt)[row - 1]])  # row 0 is the start token's
    table = pipe.text_encoder.text_model.embeddings.token_embedding
    return Word(table(tokens)[0], context[0, row])


def similarity(vectors: Tensor) -> Tensor:
    """(n, d) -> (n, n) cosines: 1 is the same direction, 0 nothing in common."""
    directions = normalize(vectors, dim=-1)
    return directions @ directions.T


def groups(cosines: Tensor) -> dict[str, float]:
    """Mean cosines among the colours, among the nouns, and between the two; no word with itself."""
    count = len(COLOURS)
    colours, nouns, between = cosines[:count, :count], cosines[count:, count:], cosines[:count, count:]
    return {
        "colours": significant(off_diagonal(colours).mean().item()),
        "nouns": significant(off_diagonal(nouns).mean().item()),
        "between": significant(between.mean().item()),
    }


def pairs(cosines: Tensor) -> dict[str, float | str]:
    """The two colours, and the two nouns, that are most alike."""
    found: dict[str, float | str] = {}
    for name, words, begin in (("colours", COLOURS, 0), ("nouns", NOUNS, len(COLOURS))):
        part = cosines[begin : begin + len(words), begin : begin + len(words)].tril(-1)
        first, second = divmod(int(part.argmax()), len(words))
        found[f"alike_{name}"] = f"{words[second]}, {words[first]}"
        found[f"alike_{name}_cosine"] = significant(part.max().item())
    return found


def of_pair(cosines: Tensor, first: str, second: str) -> float:
    words = COLOURS + NOUNS
    return cosines[words.index(first), words.index(second)].item()


def off_diagonal(square: Tensor) -> Tensor:
    return square[~torch.eye(len(square), dtype=torch.bool)]


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    page = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), "white")
    page.paste(left, (0, 0))
    page.paste(right, (left.width, 0))
    return page
