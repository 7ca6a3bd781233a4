"""Prompts become contexts: chunks of 77, none of the text dropped, all of one length."""

from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gesso.config import TextEncoderConfig
from gesso.errors import PromptError
from gesso.models.text_encoder import TextEncoder
from gesso.text.chunks import split_chunks
from gesso.text.conditioning import encode_prompts
from gesso.text.emphasis import EMPHASES
from gesso.text.prompt import parse_prompt
from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Text

START, END = 49406, 49407
CAT = 2368


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def text_encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(TextEncoderConfig(width=16, layers=3, heads=2, mlp_width=32)).eval()


class TokensAsContext:
    """Stands in for a text encoder: its hidden states are the tokens themselves."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[int, ...], int]] = []

    def __call__(self, tokens: Tensor, skip_layers: int = 0) -> Tensor:
        self.calls.append((tuple(tokens.shape), skip_layers))
        return tokens.unsqueeze(-1).float()


def tokens_of(tokenizer: Tokenizer, prompts: Sequence[str]) -> list[list[int]]:
    return encode_prompts(TokensAsContext(), tokenizer, prompts).squeeze(-1).int().tolist()


def test_short_prompt_is_one_padded_chunk(tokenizer: Tokenizer) -> None:
    expected = [START, 320, 1125, 539, 320, CAT, END] + [END] * 70
    assert tokens_of(tokenizer, ["a photo of a cat"]) == [expected]


def test_empty_prompt_is_one_chunk(tokenizer: Tokenizer) -> None:
    assert tokens_of(tokenizer, [""]) == [[START] + [END] * 76]


@pytest.mark.parametrize(("words", "chunks"), [(74, 1), (75, 1), (76, 2), (150, 2), (151, 3)])
def test_text_past_75_tokens_starts_another_chunk(tokenizer: Tokenizer, words: int, chunks: int) -> None:
    (tokens,) = tokens_of(tokenizer, ["cat " * words])
    assert len(tokens) == 77 * chunks
    assert tokens.count(CAT) == words
    assert all(tokens[77 * i] == START and tokens[77 * i + 76] == END for i in range(chunks))


def test_shorter_prompts_are_filled_up_with_the_empty_prompt(tokenizer: Tokenizer) -> None:
    short, long = tokens_of(tokenizer, ["cat", "cat " * 80])
    assert short == [START, CAT] + [END] * 75 + [START] + [END] * 76
    assert len(long) == len(short)


@given(st.lists(st.text(max_size=120), min_size=1, max_size=3))
@settings(max_examples=50)
def test_no_token_is_dropped_or_moved(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text in texts:
        chunks = split_chunks(tokenizer, text, max_length=7)
        ids = tokenizer.encode(text)
        inner = [token for chunk in chunks for token in chunk.tokens[1:-1]]
        assert not any(chunk.is_weighted for chunk in chunks)
        assert inner[: len(ids)] == ids
        assert set(inner[len(ids) :]) <= {tokenizer.pad}
        assert len(inner) - len(ids) < 5 or not ids


def test_each_distinct_chunk_is_encoded_once(tokenizer: Tokenizer) -> None:
    encoder = TokensAsContext()
    context = encode_prompts(encoder, tokenizer, ["cat " * 150, "", "", "cat"])
    assert context.shape == (4, 154, 1)
    assert encoder.calls == [((3, 77), 0)]  # 75 cats, the empty prompt, one cat


def test_longest_prompt_is_encoded_in_parts(tokenizer: Tokenizer) -> None:
    encoder = TokensAsContext()
    text = "".join(chr(0x4E00 + i) for i in range(5_000))
    context = encode_prompts(encoder, tokenizer, [text])
    assert max(shape[0] for shape, _ in encoder.calls) == 64
    assert context.shape[1] % 77 == 0
    assert len(encoder.calls) > 2


def test_chunks_match_encoding_them_one_by_one(tokenizer: Tokenizer, text_encoder: TextEncoder) -> None:
    with torch.inference_mode():
        context = encode_prompts(text_encoder, tokenizer, ["a photo of a cat", "cat " * 100])
        first, second = split_chunks(tokenizer, "cat " * 100)
        expected = torch.cat(
            [text_encoder(torch.tensor([chunk.tokens])) for chunk in (first, second)], dim=1
        )
    torch.testing.assert_close(context[1:], expected)
    assert context.shape == (2, 154, 16)


@pytest.mark.parametrize("clip_skip", [1, 2, 3])
def test_clip_skip_leaves_out_the_last_layers(
    tokenizer: Tokenizer, text_encoder: TextEncoder, clip_skip: int
) -> None:
    with torch.inference_mode():
        context = encode_prompts(text_encoder, tokenizer, ["a cat"], clip_skip=clip_skip)
        tokens = torch.tensor([chunk.tokens for chunk in split_chunks(tokenizer, "a cat")])
        x = text_encoder.text_model.embeddings(tokens)
        for layer in list(text_encoder.text_model.encoder.layers)[: 4 - clip_skip]:
            x = layer(x)
        expected = text_encoder.text_model.final_layer_norm(x)
    torch.testing.assert_close(context, expected)


def test_surrogate_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(PromptError, match="surrogate"):
        encode_prompts(TokensAsContext(), tokenizer, ["a", "\ud800"])


# Weighed prompts


def read(prompt: str) -> Text:
    (text,) = parse_prompt(prompt).at(1, 1)
    return text


def test_each_token_has_the_weight_of_its_words(tokenizer: Tokenizer) -> None:
    (chunk,) = split_chunks(tokenizer, read("a (photo of:1.5) a [cat]"))
    assert chunk.tokens[:7] == (START, 320, 1125, 539, 320, CAT, END)
    assert chunk.weights[:7] == (1, 1, 1.5, 1.5, 1, 1 / 1.1, 1)
    assert chunk.weights[7:] == (1,) * 70


def test_break_pads_to_the_end_of_the_chunk(tokenizer: Tokenizer) -> None:
    first, second = split_chunks(tokenizer, read("cat BREAK (a cat:2)"))
    assert first.tokens == (START, CAT, END, *[END] * 74)
    assert second.tokens == (START, 320, CAT, END, *[END] * 73)
    assert second.weights == (1, 2, 2, *[1] * 74)
    assert len(split_chunks(tokenizer, read("cat " * 75 + "BREAK cat"))) == 2
    assert len(split_chunks(tokenizer, read("cat " * 76 + "BREAK cat"))) == 3


@pytest.mark.parametrize(
    ("prompt", "ends"),
    [
        ("cat " * 60 + ", " + "cat " * 20, [61]),  # 14 tokens after the comma go with the others
        ("cat " * 55 + ", " + "cat " * 30, [56]),  # the 20th from the end: as far as it goes
        ("cat " * 54 + ", " + "cat " * 30, [75]),
        ("cat " * 74 + ", " + "cat " * 20, [75]),
        ("cat " * 75 + ", " + "cat " * 20, [75]),  # the comma is the first that does not fit
        ("cat " * 60 + ", " + "cat " * 10 + ", " + "cat " * 10, [72]),
        ("cat " * 60 + ", " + "cat " * 80, [61, 136]),
    ],
)
def test_a_full_chunk_may_end_at_a_comma(tokenizer: Tokenizer, prompt: str, ends: list[int]) -> None:
    chunks = split_chunks(tokenizer, prompt, comma_backtrack=20)
    ids = tokenizer.encode(prompt)
    for chunk, begin, end in zip(chunks, [0, *ends], [*ends, len(ids)], strict=True):
        assert list(chunk.tokens[1 : 1 + end - begin]) == ids[begin:end]
        assert set(chunk.tokens[1 + end - begin :]) == {END}


def test_names_of_embeddings_become_their_tokens(tokenizer: Tokenizer) -> None:
    embeddings = {"soft-ink": [50_000, 50_001], "soft": [50_002]}
    (chunk,) = split_chunks(tokenizer, read("a (Soft-Ink:2) cat, soft softer"), embeddings=embeddings)
    (comma,), softer = tokenizer.encode(","), tokenizer.encode("softer")
    expected = [320, 50_000, 50_001, CAT, comma, 50_002, *softer]
    assert list(chunk.tokens[1 : 1 + len(expected)]) == expected
    assert chunk.weights[2:4] == (2, 2)
    assert sum(chunk.weights) == 79


@pytest.mark.parametrize("emphasis", EMPHASES)
def test_weights_of_one_change_nothing(
    tokenizer: Tokenizer, text_encoder: TextEncoder, emphasis: str
) -> None:
    with torch.inference_mode():
        plain = encode_prompts(text_encoder, tokenizer, ["a photo of a cat", ""])
        texts = [read("a (photo:1.0) of a cat"), ""]
        assert torch.equal(encode_prompts(text_encoder, tokenizer, texts, emphasis=emphasis), plain)


def test_weights_reach_the_context(tokenizer: Tokenizer, text_encoder: TextEncoder) -> None:
    """In the chunk where they are, and the other chunks stay as they were."""
    long = "cat " * 75
    with torch.inference_mode():
        plain = encode_prompts(text_encoder, tokenizer, [f"{long} photo", ""])
        texts = [read(f"{long} (photo:1.5)"), ""]
        context = encode_prompts(text_encoder, tokenizer, texts, emphasis="no_norm")
    expected = plain.clone()
    expected[0, 78] *= 1.5
    torch.testing.assert_close(context, expected)


def test_half_precision_stays_half_precision(tokenizer: Tokenizer, text_encoder: TextEncoder) -> None:
    half = deepcopy(text_encoder).to(torch.bfloat16)
    with torch.inference_mode():
        for emphasis in EMPHASES:
            context = encode_prompts(half, tokenizer, [read("a (cat:1.5) [b]")], emphasis=emphasis)
            assert context.dtype == torch.bfloat16
            assert context.isfinite().all()


def test_what_weights_need_is_encoded_once(tokenizer: Tokenizer) -> None:
    encoder = TokensAsContext()
    encode_prompts(encoder, tokenizer, [read("a (cat:2)"), read("a (cat:3) (a:4)")], emphasis="comfy")
    assert [shape for shape, _ in encoder.calls] == [(2, 77), (1, 77)]  # and the empty prompt
