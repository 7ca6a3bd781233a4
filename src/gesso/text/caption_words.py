"""The words that a model was taught, and those of a prompt that it was not.

A vocabulary of one's own is learnt from captions, and its folder lists the words of those that its model is
taught (`CAPTION_WORDS` in `gesso.text.tokenizer`). The merges do not tell: they also hold pieces of words,
"ink" of "pink", and words of a wider world that is taught later. Nothing is known of the captions of other
models, Stable Diffusion's among them, so no word is unknown to those.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

from gesso.text.weighing import Text
from gesso.text.words import word_spans

APOSTROPHE = re.compile("['’]")


def caption_words(captions: Iterable[str]) -> set[str]:
    """What `unknown_words` is to compare with: words in lower case, Chinese characters one by one."""
    pieces = {piece for caption in captions for piece in caption.split()}
    return {part for piece in pieces for word in _words(piece) for unit in word for part in _parts(unit)}


def unknown_words(texts: Iterable[Text], known: Collection[str]) -> list[str]:
    """The words of texts that captions never had, in lower case, each once, as they are first said.

    A word is a run of letters, with apostrophes and hyphens inside, or a pictogram; digits and punctuation
    are none. It is unknown if a part between hyphens is; an ending behind an apostrophe does not count.
    Chinese is written without spaces, so there characters are looked up, and neighbours that are unknown
    are one word. Whether a word of known characters is new cannot be told.

    Args:
        texts: as `gesso.text.prompt.Prompt.at` says them.
        known: what `caption_words` found.
    """
    spans = (span for text in texts for section in text for span in section)
    pieces = dict.fromkeys(piece for span in spans for piece in span.text.split())
    unknown: dict[str, None] = {}
    for word in (word for piece in pieces for word in _words(piece)):
        for is_known, units in groupby(word, lambda unit: all(part in known for part in _parts(unit))):
            if not is_known:
                unknown["".join(units)] = None
    return list(unknown)


def _words(piece: str) -> Iterator[list[str]]:
    """The words of a text without spaces, each in units: Chinese characters, and what is between them."""
    piece = unicodedata.normalize("NFC", piece).lower()
    for begin, end in word_spans(piece):
        runs = groupby(piece[begin:end], _is_ideograph)
        both = ((is_ideograph, "".join(letters)) for is_ideograph, letters in runs)
        yield [unit for is_ideograph, run in both for unit in (run if is_ideograph else (run,))]


def _parts(unit: str) -> Iterator[str]:
    """Runs of letters, and pictograms, up to the first apostrophe."""
    stem = APOSTROPHE.split(unit)[0]
    for is_letter, letters in groupby(stem, str.isalpha):
        if is_letter:
            yield "".join(letters)
        else:
            yield from (letter for letter in letters if unicodedata.category(letter) == "So")


def _is_ideograph(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("CJK UNIFIED IDEOGRAPH")
