"""A byte-pair vocabulary of one's own, learnt from captions and written in CLIP's file format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import models, pre_tokenizers, trainers

from gesso.text.tokenizer import END_OF_TEXT, END_OF_WORD, START_OF_TEXT, Tokenizer, byte_pair_backend

MIN_VOCAB_SIZE = 2 * 256 + 2
"""Every byte, every byte at the end of a word, the start and the end token."""


def train_tokenizer(captions: Iterable[str], vocab_size: int, folder: Path) -> Tokenizer:
    """Learn merges from captions and write them to ``folder``, which ``Tokenizer.load`` then reads.

    Ids are laid out as CLIP's: 256 byte symbols, the same with ``</w>``, merges, start, end. Every text can
    be encoded, also with bytes the captions never held. The folder is a Diffusers ``tokenizer/`` folder,
    which transformers' ``CLIPTokenizer.from_pretrained`` reads as well.

    Args:
        vocab_size: at most this many ids, at least ``MIN_VOCAB_SIZE``; fewer if the captions have fewer
            different pairs.
        folder: created if need be; the files in it are replaced.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise ValueError(f"vocab_size {vocab_size} is less than {MIN_VOCAB_SIZE}, the bytes alone")
    merges = _learn_merges(captions, limit=vocab_size - MIN_VOCAB_SIZE)
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*symbols, *(symbol + END_OF_WORD for symbol in symbols)]
    tokens += dict.fromkeys("".join(pair) for pair in merges)
    tokens += [START_OF_TEXT, END_OF_TEXT]
    vocabulary = {token: index for index, token in enumerate(tokens)}

    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {
        "bos_token": START_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
    }
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special},
    )
    return Tokenizer.load(folder)


def _learn_merges(captions: Iterable[str], limit: int) -> list[tuple[str, str]]:
    """The pairs of symbols to merge, the most frequent first, making at most ``limit`` tokens."""
    backend = byte_pair_backend(models.BPE(end_of_word_suffix=END_OF_WORD))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + limit,
        min_frequency=1,
        initial_alphabet=alphabet,
        end_of_word_suffix=END_OF_WORD,
        show_progress=False,
    )
    backend.train_from_iterator(captions, trainer)
    merges: list[tuple[str, str]] = []
    tokens: set[str] = set()
    for left, right in json.loads(backend.to_str())["model"]["merges"]:
        tokens.add(left + right)  # two pairs may make the same token
        if len(tokens) > limit:
            break
        merges.append((left, right))
    return merges


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
