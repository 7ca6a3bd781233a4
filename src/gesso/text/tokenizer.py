"""CLIP byte-pair encoding: text to token ids and back.

The text is brought to Unicode NFC, runs of white space become one space, and it is lowercased; it is then
split into words, contractions, single digits and runs of punctuation. Each piece becomes UTF-8 bytes, one
symbol a byte, the last one marked with ``</w>``, and symbols are merged pair by pair in the order of the
merges file (Sennrich et al. 2016; Radford et al. 2021, §2.4). No text is out of vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, cast

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from gesso.errors import CheckpointError, FormatError
from gesso.text.limits import check_prompt

CLIP_FOLDER = Path(__file__).parent / "clip"
START_OF_TEXT = "<|startoftext|>"
END_OF_TEXT = "<|endoftext|>"
END_OF_WORD = "</w>"
CAPTION_WORDS = "caption_words.txt"
"""The file of a tokenizer folder that lists the words of the captions it was learnt from, one a line."""

T = TypeVar("T")

_PIECES = Regex(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
_SPACE_SYMBOL = "Ġ"  # byte-level encoding writes the byte 0x20 as this letter


class Tokenizer:
    """A byte-pair vocabulary with its start, end and padding tokens.

    Attributes:
        start: id put before every chunk.
        end: id put after every chunk.
        pad: id that fills a chunk up; the end token in SD 1.x.
        size: number of ids, which the text encoder's vocabulary must at least have.
        caption_words: the words of the captions it was learnt from (see `gesso.text.caption_words`); None
            where its folder does not list them, as CLIP's does not.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        start: int,
        end: int,
        pad: int,
        caption_words: frozenset[str] | None = None,
    ) -> None:
        self._backend = backend
        self._decoder = decoders.ByteLevel()
        self.start = start
        self.end = end
        self.pad = pad
        self.caption_words = caption_words
        self.size = backend.get_vocab_size(with_added_tokens=True)

    @classmethod
    def load(cls, folder: Path | None = None) -> Tokenizer:
        """Read a tokenizer folder; CLIP's own vocabulary if none is given.

        Args:
            folder: holds ``vocab.json`` and ``merges.txt``, or a ``tokenizer.json`` (all that
                transformers 5 writes). ``tokenizer_config.json`` and ``special_tokens_map.json`` name
                the start, end and padding tokens if they differ from CLIP's; ``caption_words.txt`` lists
                the words it was learnt from.

        Raises:
            CheckpointError: a file is missing (``FormatError`` if it is there but unreadable).
        """
        folder = CLIP_FOLDER if folder is None else Path(folder)
        special = _special_tokens(folder)
        backend = _load_backend(folder, unknown=special["end"].content)
        ids = {role: _id_of(token.content, backend, folder) for role, token in special.items()}
        backend.add_special_tokens(list(special.values()))
        return cls(backend, **ids, caption_words=_read_caption_words(folder / CAPTION_WORDS))

    def encode(self, text: str) -> list[int]:
        """Token ids of the whole text, without start and end tokens, however long it is.

        Raises:
            PromptError: the text is not valid Unicode, or longer than any prompt.
        """
        return self._backend.encode(check_prompt(text), add_special_tokens=False).ids

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in the text each of its tokens stands: the first character and the one after the last.

        As many as `encode` gives.
        """
        return self._backend.encode(check_prompt(text), add_special_tokens=False).offsets

    def decode(self, ids: Iterable[int]) -> str:
        """The normalised text of token ids, words separated by single spaces.

        Special tokens, and ids that are not in the vocabulary, are left out.
        """
        special = {self.start, self.end, self.pad}
        tokens = (self._backend.id_to_token(token_id) for token_id in ids if token_id not in special)
        return self._decoder.decode([_with_space(token) for token in tokens if token is not None]).strip()


def byte_pair_backend(model: models.BPE) -> tokenizers.Tokenizer:
    """CLIP's normalisation and splitting around a byte-pair model."""
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return backend


def _with_space(token: str) -> str:
    """The token's symbols, with a space for the end-of-word mark."""
    if token.endswith(END_OF_WORD):
        return token.removesuffix(END_OF_WORD) + _SPACE_SYMBOL
    return token


def _id_of(token: str, backend: tokenizers.Tokenizer, folder: Path) -> int:
    token_id = backend.token_to_id(token)
    if token_id is None:
        raise FormatError(f"the token {token!r} is not in the vocabulary", where=str(folder))
    return token_id


def _load_backend(folder: Path, unknown: str) -> tokenizers.Tokenizer:
    vocabulary, merges, whole = (folder / name for name in ("vocab.json", "merges.txt", "tokenizer.json"))
    if whole.is_file() and not vocabulary.is_file():
        backend = _parsed(whole, lambda: tokenizers.Tokenizer.from_file(str(whole)))
        backend.no_truncation()
        backend.no_padding()
        return backend
    for path in (vocabulary, merges):
        if not path.is_file():
            raise CheckpointError(
                f"{path.name} is missing",
                "A tokenizer folder has vocab.json and merges.txt, or tokenizer.json.",
                where=str(folder),
            )
    files = str(vocabulary), str(merges)
    model = _parsed(
        folder, lambda: models.BPE.from_file(*files, unk_token=unknown, end_of_word_suffix=END_OF_WORD)
    )
    return byte_pair_backend(model)


def _parsed(path: Path, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except Exception as error:  # tokenizers raises nothing more specific
        raise FormatError(f"not a readable tokenizer ({error})", where=str(path)) from error


def _special_tokens(folder: Path) -> dict[str, AddedToken]:
    """The tokens that play the roles start, end and pad."""
    settings = _read_settings(folder / "special_tokens_map.json")
    settings |= _read_settings(folder / "tokenizer_config.json")
    start = _special_token(settings.get("bos_token"), START_OF_TEXT)
    end = _special_token(settings.get("eos_token"), END_OF_TEXT)
    return {"start": start, "end": end, "pad": _special_token(settings.get("pad_token"), end.content)}


def _special_token(entry: object, default: str) -> AddedToken:
    if isinstance(entry, dict):
        fields = cast(dict[str, object], entry)
        content, normalized = fields.get("content"), bool(fields.get("normalized", False))
    else:
        content, normalized = entry, False
    return AddedToken(content if isinstance(content, str) else default, normalized=normalized, special=True)


def _read_caption_words(path: Path) -> frozenset[str] | None:
    if not path.is_file():
        return None
    try:
        return frozenset(path.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 ({error})", where=str(path)) from error


def _read_settings(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not readable JSON ({error})", where=str(path)) from error
    if not isinstance(settings, dict):
        raise FormatError("not a JSON object", where=str(path))
    return cast(dict[str, object], settings)
