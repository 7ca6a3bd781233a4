"""The words of a prompt: which tokens are whose, wherever the chunks end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.text.chunks import split_chunks
from gesso.text.prompt import literal_prompt, parse_prompt
from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Text
from gesso.text.words import word_spans, words_of


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def said(prompt: str, step: int = 1) -> Text:
    return parse_prompt(prompt).at(step, 4)[0]


def names(tokenizer: Tokenizer, prompt: str, step: int = 1) -> list[str]:
    return [word.text for word in words_of(tokenizer, said(prompt, step))]


def decoded(tokenizer: Tokenizer, text: Text, **options: Any) -> list[tuple[str, str]]:
    """Each word, and what the tokens in its rows of the context say."""
    tokens = [token for chunk in split_chunks(tokenizer, text, **options) for token in chunk.tokens]
    words = words_of(tokenizer, text, **options)
    return [(word.text, tokenizer.decode([tokens[row] for row in word.rows])) for word in words]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a cat, a (dog:1.3) and [mice].", ["a", "cat", "a", "dog", "and", "mice"]),
        ("don't 'quote' red-haired -- 4k!", ["don't", "quote", "red-haired", "4k"]),
        ("a BREAK b", ["a", "b"]),
        (r"\(x\) <lora:name:0.5> y", ["x", "y"]),
        ("猫が好き 🙂👍🏽 naïve cafe\u0301", ["猫が好き", "🙂👍🏽", "naïve", "cafe\u0301"]),
        ("?! ...", []),
        ("", []),
    ],
)
def test_words_are_what_is_between_punctuation(tokenizer: Tokenizer, prompt: str, words: list[str]) -> None:
    assert names(tokenizer, prompt) == words


def test_schedules_say_other_words_at_other_steps(tokenizer: Tokenizer) -> None:
    prompt = "a [red:blue:0.5] [cat|dog]"
    assert [names(tokenizer, prompt, step) for step in (1, 2, 3)] == [
        ["a", "red", "cat"],
        ["a", "red", "dog"],
        ["a", "blue", "cat"],
    ]


def test_tokens_of_one_word_are_together(tokenizer: Tokenizer) -> None:
    text = said("a supercalifragilistic red-haired cat")
    assert decoded(tokenizer, text) == [
        ("a", "a"),
        ("supercalifragilistic", "supercalifragilistic"),
        ("red-haired", "red - haired"),
        ("cat", "cat"),
    ]
    assert words_of(tokenizer, text)[1].rows == (2, 3, 4, 5, 6)


@pytest.mark.parametrize("options", [{}, {"comma_backtrack": 20}, {"max_length": 9}])
def test_rows_are_those_of_the_chunks(tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    text = said("one, " * 30 + "a very long house, two BREAK three " + "four, " * 20 + "five")
    found = decoded(tokenizer, text, **options)
    assert len(found) == 30 + 5 + 1 + 20 + 1
    assert all(word == token for word, token in found)


def test_the_name_of_an_embedding_is_one_word(tokenizer: Tokenizer) -> None:
    words = words_of(tokenizer, said("a my-style2 cat"), embeddings={"my-style2": [500, 501, 502]})
    assert [(word.text, word.rows) for word in words] == [
        ("a", (1,)),
        ("my-style2", (2, 3, 4)),
        ("cat", (5,)),
    ]


@given(text=st.text(max_size=40))
def test_any_text_has_words_with_tokens(tokenizer: Tokenizer, text: str) -> None:
    """Spans are in order and apart; so are their tokens."""
    spans = word_spans(text)
    assert all(begin < end for begin, end in spans)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    words = words_of(tokenizer, literal_prompt(text).at(1, 1)[0])
    rows = [row for word in words for row in word.rows]
    assert rows == sorted(set(rows))
