"""What a batch has decided for each of its requests, kept beside its pictures so that it can go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from gesso.errors import OutputError
from gesso.pipeline.output import OutputPattern, as_output_errors, escape, last_number
from gesso.pipeline.request import GenerationRequest, ResolvedRequest

LEDGER_NAME = "batch.jsonl"
LEDGER_VERSION = 1
MAX_LEDGER_BYTES = 256 * 1024**2
SHOWN_PROMPT = 80
UNTOLD = ("version", "count", "batch_size")
_DEFAULTS = GenerationRequest("").to_json()


@dataclass(frozen=True)
class LedgerEntry:
    """What was decided for a request when a batch first met it.

    Attributes:
        key: what it is found by, see `key_of`.
        number: what the names of its pictures begin with.
        seed: of its first picture.
        variation_seed: likewise; None where nothing is varied.
        prompt: its beginning, for people who read the ledger.
    """

    key: str
    number: int
    seed: int
    variation_seed: int | None
    prompt: str

    @classmethod
    def propose(cls, request: ResolvedRequest, key: str) -> LedgerEntry:
        """What a request was resolved to, yet without a number."""
        varied = request.variation_seed if request.variation_strength else None
        return cls(key, 0, request.seed, varied, request.prompt[:SHOWN_PROMPT])

    def settle(self, request: GenerationRequest) -> GenerationRequest:
        """The request with these seeds, where it leaves them open."""
        if request.seed is None:
            request = replace(request, seed=self.seed)
        if request.variation_seed is None and self.variation_seed is not None:
            request = replace(request, variation_seed=self.variation_seed)
        return request

    def pattern(self, folder: Path, request: ResolvedRequest) -> OutputPattern:
        """The names of its pictures: the same in every run, and for any count."""
        name = f"{self.number:05d}-{{seed}}{'' if request.seed_stride else '-{index}'}.png"
        return OutputPattern(f"{escape(folder)}/{name}")


class Ledger:
    """An open ledger. Use `open_ledger`.

    A request is recognised by what it asks for, not by its line: lines may be added, removed and put in
    another order. What is asked for twice is two entries.
    """

    def __init__(self, folder: Path, file: BinaryIO) -> None:
        self._folder = folder
        self._file = file
        self._entries: dict[str, LedgerEntry] = {}
        self._read()

    def settle(self, proposals: Iterable[LedgerEntry]) -> list[LedgerEntry]:
        """The entries of requests: those that are here already, and else the proposals, numbered.

        All of them are on the disk before this returns.
        """
        seen: Counter[str] = Counter()
        number = max([last_number(self._folder), *(entry.number for entry in self._entries.values())])
        settled: list[LedgerEntry] = []
        added: list[LedgerEntry] = []
        for proposal in proposals:
            seen[proposal.key] += 1
            key = f"{proposal.key}-{seen[proposal.key]}"
            if key not in self._entries:
                number += 1
                self._entries[key] = replace(proposal, key=key, number=number)
                added.append(self._entries[key])
            settled.append(self._entries[key])
        self._append(added)
        return settled

    def _append(self, entries: Sequence[LedgerEntry]) -> None:
        text = "".join(json.dumps(asdict(entry)) + "\n" for entry in entries)
        with as_output_errors(self._folder / LEDGER_NAME):
            self._file.write(text.encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self) -> None:
        """Read the entries; what an interrupted run left of a last one is cut off."""
        with as_output_errors(self._folder / LEDGER_NAME):
            self._file.seek(0)
            data = self._file.read(MAX_LEDGER_BYTES + 1)
            whole = data[: data.rfind(b"\n") + 1]
            self._file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            entry = self._entry(line, number)
            self._entries[entry.key] = entry

    def _entry(self, line: bytes, number: int) -> LedgerEntry:
        try:
            entry = LedgerEntry(**json.loads(line))
            whole = (entry.number, entry.seed, entry.variation_seed or 0)
            if not isinstance(entry.key, str) or not all(isinstance(each, int) for each in whole):
                raise TypeError
        except (ValueError, TypeError, RecursionError) as error:
            raise OutputError(
                "it is damaged, so what was drawn already is not known",
                "Draw into another folder (--output).",
                where=f"{self._folder / LEDGER_NAME}:{number}",
            ) from error
        return entry


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """Open, or begin, the ledger of a folder. Until the block ends, no other process can.

    Raises:
        OutputError: it cannot be written, is damaged, or is in use.
    """
    path = folder / LEDGER_NAME
    with as_output_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    with file:
        _lock(file, path)
        yield Ledger(folder, file)


def key_of(request: GenerationRequest, model: str) -> str:
    """What a request asks for, of which model, in 64 digits. Requests of one key draw the same pictures.

    Fields of their default values do not count, so that fields which later versions add change no key; nor
    do the path of a picture (its pixels do), how many pictures there are, and how many are drawn at once.
    """
    told = {
        name: _without_path(value)
        for name, value in request.to_json().items()
        if name not in UNTOLD and value != _DEFAULTS[name]
    }
    return hashlib.sha256(json.dumps([model, told], sort_keys=True).encode()).hexdigest()


def _without_path(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: entry for name, entry in value.items() if name != "path"}


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # on Windows nothing stops a second process, whose pictures fail to be written
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            "another batch is drawing into this folder", "Wait for it, or name another.", where=str(path)
        ) from error
    except OSError:  # a file system without locks
        return
