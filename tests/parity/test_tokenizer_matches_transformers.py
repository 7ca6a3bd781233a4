"""Token ids equal those of transformers' CLIPTokenizer, on any text."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from gesso.text.tokenizer import CLIP_FOLDER, Tokenizer
from gesso.text.vocabulary import train_tokenizer

TEXTS = [
    "",
    "   ",
    "a photo of a cat",
    "A Red HOUSE, beside\ta pine-tree;\r\n at night!",
    "crème brûlée, Ångström, naïve façade",
    "e\u0301 \u00e9 \u212b İstanbul ẞ ǅ",
    "一只红色的房子 在松树旁边",
    "ひらがな カタカナ 한국어 עברית العربية",
    "😀👩‍👩‍👧‍👦🏳️‍🌈 🇺🇳",
    "1girl, 35mm, f/1.8, 4k, ⅷ ² ①",
    "it's we're I'll they've I'm he'd don't O'Brien ''s",
    "\x00\x01\x1f\x7f\x85\u200b\u2028\ufeff\ufffd",
    "(masterpiece:1.2), [a|b], <lora:x:0.5>, {a}",
    "hello</w> <|startoftext|> in <|endoftext|> the middle <|ENDOFTEXT|>",
    "\U0010ffff\U000e0001\ue000",
    "supercalifragilisticexpialidocious" * 20,
    "word " * 3000,
]


@pytest.fixture(scope="module")
def ours() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def theirs() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(str(CLIP_FOLDER))


def reference_ids(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:24]))
def test_ids_match_on_chosen_texts(ours: Tokenizer, theirs: CLIPTokenizer, text: str) -> None:
    assert ours.encode(text) == reference_ids(theirs, text)


@given(st.text())
@example("\u0345\u1e9e")
def test_ids_match_on_any_text(ours: Tokenizer, theirs: CLIPTokenizer, text: str) -> None:
    assert ours.encode(text) == reference_ids(theirs, text)


def test_special_tokens_match(ours: Tokenizer, theirs: CLIPTokenizer) -> None:
    expected = (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id, len(theirs))
    assert (ours.start, ours.end, ours.pad, ours.size) == expected


def test_folder_saved_by_transformers_gives_the_same_ids(theirs: CLIPTokenizer, tmp_path: Path) -> None:
    theirs.save_pretrained(str(tmp_path))
    saved = Tokenizer.load(tmp_path)
    for text in TEXTS:
        assert saved.encode(text) == reference_ids(theirs, text)
    assert (saved.start, saved.end, saved.pad) == (49406, 49407, 49407)


def test_folder_with_published_settings_gives_the_same_ids(tmp_path: Path) -> None:
    """SD 1.5 publishes its special tokens as normalised, SD 2.x pads with '!'."""
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(CLIP_FOLDER / name, tmp_path / name)
    roles = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    settings: dict[str, object] = {
        role: {
            "__type": "AddedToken",
            "content": content,
            "lstrip": False,
            "normalized": True,
            "rstrip": False,
            "single_word": False,
        }
        for role, content in roles.items()
    }
    settings |= {"pad_token": "!", "tokenizer_class": "CLIPTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    ours, theirs = Tokenizer.load(tmp_path), CLIPTokenizer.from_pretrained(str(tmp_path))
    assert ours.pad == theirs.pad_token_id == 0
    for text in (*TEXTS, "hi ! hello!!"):
        assert ours.encode(text) == reference_ids(theirs, text)


def test_trained_vocabulary_gives_the_same_ids(tmp_path: Path) -> None:
    captions = [f"a {colour} house beside a pine" for colour in ("red", "reddish", "blue", "green")]
    ours = train_tokenizer(captions, 560, tmp_path)
    theirs = CLIPTokenizer.from_pretrained(str(tmp_path))
    assert (ours.start, ours.end, ours.pad) == (
        theirs.bos_token_id,
        theirs.eos_token_id,
        theirs.pad_token_id,
    )
    for text in TEXTS:
        assert ours.encode(text) == reference_ids(theirs, text)
