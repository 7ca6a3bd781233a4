"""Words that no caption had: which they are, and where they are noted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gesso
from gesso.errors import FormatError, PromptError
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import GenerationRequest
from gesso.text.caption_words import caption_words, unknown_words
from gesso.text.prompt import literal_prompt
from gesso.text.tokenizer import CAPTION_WORDS, Tokenizer
from gesso.text.vocabulary import train_tokenizer
from gesso.weights.hub import STORYBOOK_FOLDER

CAPTIONS = ["A pink house, 8-bit", "three cats", "一座红色的城堡，下雪"]


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    """Its captions had these words: a red house beside a pine tree, at night."""
    return gesso.load(tiny_model, device="cpu")


def unknown(text: str) -> list[str]:
    return unknown_words(literal_prompt(text).at(1, 1), caption_words(CAPTIONS))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a pink house", []),
        ("a pink dragon and a Dragon, GOTHIC", ["dragon", "and", "gothic"]),
        ("ink, cat, ouse", ["ink", "cat", "ouse"]),
        ("house,dragon;gothic/pink", ["dragon", "gothic"]),
        ("3 cats, 16:9 -- 'pink'?! ²", []),
        ("4k 16-bit red-haired pink-haired", ["4k", "red-haired", "pink-haired"]),
        ("house's don't don’t", ["don't", "don’t"]),
        ("cafe\u0301 café", ["café"]),
        ("a 🏠", ["🏠"]),
        ("", []),
    ],
)
def test_words_are_looked_up(text: str, words: list[str]) -> None:
    assert unknown(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("红色的城堡", []),
        ("一座红城，下雪", []),
        ("一条龙在哥特式的城堡前", ["条龙在哥特式", "前"]),
        ("pink城堡dragon", ["dragon"]),
        ("猫が好き", ["猫が好き"]),
        ("빨간 집 लाल घर", ["빨간", "집", "लाल", "घर"]),
    ],
)
def test_chinese_is_looked_up_character_by_character(text: str, words: list[str]) -> None:
    assert unknown(text) == words


@given(st.lists(st.text(max_size=30), max_size=4))
def test_the_captions_themselves_have_no_unknown_word(captions: list[str]) -> None:
    texts = (text for caption in captions for text in literal_prompt(caption).at(1, 1))
    assert unknown_words(texts, caption_words(captions)) == []


def test_a_vocabulary_lists_the_words_it_was_learnt_from(tmp_path: Path) -> None:
    trained = train_tokenizer(iter(CAPTIONS), 600, tmp_path)
    assert trained.caption_words == caption_words(CAPTIONS)
    assert Tokenizer.load(tmp_path).caption_words == trained.caption_words
    (tmp_path / CAPTION_WORDS).write_bytes(b"caf\xe9\n")
    with pytest.raises(FormatError, match=CAPTION_WORDS):
        Tokenizer.load(tmp_path)


def test_clips_vocabulary_lists_none() -> None:
    assert Tokenizer.load().caption_words is None


def test_the_built_in_model_lists_its_own() -> None:
    words = Tokenizer.load(STORYBOOK_FOLDER / "tokenizer").caption_words
    assert words is not None
    assert words >= {"house", "balloon"}
    assert "dragon" not in words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "a (red:1.3) ((house)) BREAK [tree]"}, []),
        ({"prompt": "a cat AND a dog :0.5"}, ["cat", "dog"]),
        ({"prompt": "a cat", "negative_prompt": "an ugly cat AND"}, ["cat", "an", "ugly", "and"]),
        ({"prompt": "a cat", "negative_prompt": "ugly", "guidance_scale": 1.0}, ["cat"]),
        ({"prompt": "[house:castle:0.4] [red|blue|pink]", "steps": 2}, ["castle", "blue"]),
        ({"prompt": "[castle:house:0] [house:castle:2]", "steps": 2}, []),
        ({"prompt": "a [house:castle:1.5]", "steps": 2, "hires_scale": 2.0}, ["castle"]),
        ({"prompt": "a [house:castle:1.5]", "steps": 2}, []),
        ({"prompt": "(red:1.3) [house:castle:9] BREAK", "emphasis": "none"}, ["castle", "break"]),
        ({"prompt": "[cas|cas]tle"}, ["castle"]),
    ],
)  # fmt: skip
def test_a_request_says_what_is_read(pipe: Pipeline, fields: dict[str, object], words: list[str]) -> None:
    assert pipe.unknown_words(GenerationRequest(**fields)) == words  # pyright: ignore[reportArgumentType]


def test_a_prompt_is_enough(pipe: Pipeline) -> None:
    assert pipe.unknown_words("a red dragon") == ["dragon"]
    with pytest.raises(PromptError, match="LoRAs"):
        pipe.unknown_words("a <lora:ink:1>")


def test_a_model_that_lists_no_words_has_no_unknown_ones(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "tiny")
    (tmp_path / "tiny" / "tokenizer" / CAPTION_WORDS).unlink()
    assert gesso.load(tmp_path / "tiny", device="cpu").unknown_words("a red dragon") == []
