"""A byte-pair vocabulary of one's own, learnt from captions and written in CLIP's file format."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from itertools import pairwise
from pathlib import Path

from tokenizers import models, pre_tokenizers

from gesso.text.caption_words import caption_words
from gesso.text.tokenizer import (
    CAPTION_WORDS,
    END_OF_TEXT,
    END_OF_WORD,
    START_OF_TEXT,
    Tokenizer,
    byte_pair_backend,
)

Symbols = tuple[str, ...]
Pair = tuple[str, str]

MIN_VOCAB_SIZE = 2 * 256 + 2
"""Every byte, every byte at the end of a word, the start and the end token."""


def train_tokenizer(
    captions: Iterable[str], vocab_size: int, folder: Path, max_length: int = 77
) -> Tokenizer:
    """Learn merges from captions and write them to ``folder``, which ``Tokenizer.load`` then reads.

    Ids are laid out as CLIP's: 256 byte symbols, the same with ``</w>``, merges, start, end. Every text can
    be encoded, also with bytes the captions never held. The folder is a Diffusers ``tokenizer/`` folder,
    which transformers' ``CLIPTokenizer.from_pretrained`` reads as well; beside the vocabulary it lists the
    captions' words, so that prompts can be told which of theirs are none of these.

    Args:
        vocab_size: at most this many ids, at least ``MIN_VOCAB_SIZE``; fewer if the captions have fewer
            different pairs.
        folder: created if need be; the files in it are replaced.
        max_length: tokens that the text encoder reads at once, start and end included.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise ValueError(f"vocab_size {vocab_size} is less than {MIN_VOCAB_SIZE}, the bytes alone")
    captions = list(captions)
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
    list_words(caption_words(captions), folder)
    special = {
        "bos_token": START_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
    }
    _write_json(folder / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": max_length, "do_lower_case": True}
    _write_json(folder / "tokenizer_config.json", {**settings, **special})
    return Tokenizer.load(folder)


def list_words(words: Collection[str], folder: Path) -> None:
    """Note in a tokenizer folder which words a model was taught; those noted before are replaced.

    Args:
        words: as `caption_words` finds them.
    """
    lines = "".join(f"{word}\n" for word in sorted(words))
    (folder / CAPTION_WORDS).write_text(lines, encoding="utf-8")


def _learn_merges(captions: Iterable[str], limit: int) -> list[Pair]:
    """Merge the most frequent pair of symbols again and again, until there are ``limit`` new tokens.

    Sennrich et al. 2016, Algorithm 1. Of equally frequent pairs the alphabetically first is merged, so that
    the same captions always give the same vocabulary.
    """
    counts = _count_words(captions)
    words, times = list(counts), list(counts.values())
    pairs: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)  # the words that have, or once had, a pair
    for number, symbols in enumerate(words):
        for pair in pairwise(symbols):
            pairs[pair] += times[number]
            holders[pair].add(number)
    merges: list[Pair] = []
    tokens: set[str] = set()
    while len(tokens) < limit:
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] == 0:
            break
        for number in holders.pop(best):
            for pair in pairwise(words[number]):
                pairs[pair] -= times[number]
            words[number] = _merged(words[number], best)
            for pair in pairwise(words[number]):
                pairs[pair] += times[number]
                holders[pair].add(number)
        del pairs[best]
        merges.append(best)
        tokens.add("".join(best))  # two different pairs may make the same token
    return merges


def _count_words(captions: Iterable[str]) -> Counter[Symbols]:
    """How often each word occurs, as byte symbols with the last one marked."""
    splitter = byte_pair_backend(models.BPE())
    words: Counter[Symbols] = Counter()
    for caption in captions:
        for word, _ in splitter.pre_tokenizer.pre_tokenize_str(splitter.normalizer.normalize_str(caption)):
            words[(*word[:-1], word[-1] + END_OF_WORD)] += 1
    return words


def _merged(symbols: Symbols, pair: Pair) -> Symbols:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return tuple(merged)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
