"""The tokenizer's own contract: ids, refusals, folders, trained vocabularies."""

import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.errors import CheckpointError, FormatError, PromptError
from gesso.text import vocabulary
from gesso.text.limits import MAX_PROMPT_BYTES
from gesso.text.tokenizer import CLIP_FOLDER, Tokenizer
from gesso.text.vocabulary import MIN_VOCAB_SIZE, train_tokenizer

CAPTIONS = [
    f"a {colour} {thing}" for colour in ("red", "blue", "green") for thing in ("house", "pine", "rocket")
]


@pytest.fixture(scope="module")
def clip() -> Tokenizer:
    return Tokenizer.load()


def test_known_ids(clip: Tokenizer) -> None:
    assert clip.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert (clip.start, clip.end, clip.pad, clip.size) == (49406, 49407, 49407, 49408)


def test_decode_undoes_encode_up_to_normalisation(clip: Tokenizer) -> None:
    ids = clip.encode("A  Café, and 猫 😀 </w>")
    assert clip.decode([clip.start, *ids, clip.end, clip.pad]) == "a café , and 猫 😀 </ w >"


def test_decode_leaves_out_unknown_ids(clip: Tokenizer) -> None:
    assert clip.decode([320, 10_000_000, 2368]) == "a cat"


@given(st.text(alphabet=st.characters(categories=["Ll"], max_codepoint=0x24F), min_size=1))
def test_decode_returns_any_lowercase_word(clip: Tokenizer, word: str) -> None:
    assert clip.encode(clip.decode(clip.encode(word))) == clip.encode(word)


@pytest.mark.parametrize(
    ("text", "named"), [("a \ud83d house", "character 3 is U+D83D"), ("\udc00", "character 1")]
)
def test_lone_surrogate_is_refused_with_its_place(clip: Tokenizer, text: str, named: str) -> None:
    with pytest.raises(PromptError, match=named.replace("+", r"\+")):
        clip.encode(text)


def test_ten_megabytes_are_refused_with_the_limit(clip: Tokenizer) -> None:
    with pytest.raises(PromptError, match=r"10,000,000 bytes .*\(32,768\)"):
        clip.encode("x" * 10_000_000)


def test_longest_prompt_is_encoded_whole(clip: Tokenizer) -> None:
    assert clip.encode("a " * (MAX_PROMPT_BYTES // 2)) == [320] * (MAX_PROMPT_BYTES // 2)
    assert clip.decode(clip.encode("é" * (MAX_PROMPT_BYTES // 2))) == "é" * (MAX_PROMPT_BYTES // 2)


def test_what_is_not_text_is_refused(clip: Tokenizer) -> None:
    with pytest.raises(PromptError, match="int is not text"):
        clip.encode(3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    for name in {"vocab.json", "merges.txt"} - {missing}:
        shutil.copy(CLIP_FOLDER / name, tmp_path / name)
    with pytest.raises(CheckpointError, match=missing):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", b""),
        ("vocab.json", b"[1, 2]"),
        ("vocab.json", b'{"a": -1}'),
        ("vocab.json", b"\xff\xfe"),
        ("vocab.json", b'{"<|endoftext|>": 0}'),
        ("merges.txt", b"only-one-column\n"),
        ("merges.txt", b"not known\n"),
        ("tokenizer_config.json", b"{"),
        ("tokenizer_config.json", b"[]"),
        ("special_tokens_map.json", b"[" * 100_000),
        ("special_tokens_map.json", b'{"pad_token": "[absent]"}'),
    ],
)
def test_corrupt_file_is_a_format_error(tmp_path: Path, name: str, content: bytes) -> None:
    train_tokenizer(CAPTIONS, 600, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=str(tmp_path)):
        Tokenizer.load(tmp_path)


def test_corrupt_whole_file_is_a_format_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(FormatError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


def test_training_lays_ids_out_as_clip_does(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(CAPTIONS, MIN_VOCAB_SIZE + 20, tmp_path)
    ids = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    assert list(ids.values()) == list(range(MIN_VOCAB_SIZE + 20))
    tokens = list(ids)
    assert [token + "</w>" for token in tokens[:256]] == tokens[256:512]
    assert tokens[-2:] == ["<|startoftext|>", "<|endoftext|>"]
    assert tokenizer.size == MIN_VOCAB_SIZE + 20


def test_training_with_few_captions_makes_whole_words(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(CAPTIONS, 1024, tmp_path)
    assert tokenizer.size < 1024
    assert all(len(tokenizer.encode(caption)) == 3 for caption in CAPTIONS)


def test_training_is_repeatable_and_encodes_unseen_bytes(tmp_path: Path) -> None:
    first = train_tokenizer(CAPTIONS, 540, tmp_path / "first")
    train_tokenizer(iter(CAPTIONS), 540, tmp_path / "second")
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert first.decode(first.encode("猫 😀")) == "猫 😀"


@given(st.lists(st.text(alphabet="abc 红的,", max_size=24), max_size=12))
def test_each_merge_is_of_the_most_frequent_pair(captions: list[str]) -> None:
    """The counts that are carried on from merge to merge are those that counting anew gives."""
    words = vocabulary._count_words(captions)
    expected = []
    while pairs := sum(
        (
            Counter({pair: count * n for pair, n in Counter(pairwise(word)).items()})
            for word, count in words.items()
        ),
        Counter(),
    ):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        words = Counter({vocabulary._merged(word, best): count for word, count in words.items()})
        expected.append(best)
    assert vocabulary._learn_merges(captions, limit=10_000) == expected


def test_training_refuses_a_vocabulary_smaller_than_the_bytes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="513"):
        train_tokenizer(CAPTIONS, 513, tmp_path)
