"""The files of a tokenizer: which there are, if they are CLIP's own, and how a single file carries them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gesso.errors import FormatError
from gesso.weights.settings import Settings

CLIP_FOLDER = Path(__file__).parents[1] / "text" / "clip"

NAMES = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "caption_words.txt",
)

NOTE = "gesso.tokenizer."
"""How the metadata keys begin under which a safetensors file carries the tokenizer's files."""


def is_clip(folder: Path) -> bool:
    """Whether a tokenizer has CLIP's own vocabulary, which gesso brings along."""
    return vocabulary(folder) == vocabulary(CLIP_FOLDER)


def vocabulary(folder: Path) -> Any:
    file = folder / "vocab.json"
    if file.exists():
        return Settings.read(file).values
    file = folder / "tokenizer.json"
    return Settings(Settings.read(file).values.get("model"), str(file)).values.get("vocab")


def notes(folder: Path | None) -> dict[str, str]:
    """What a single file notes of a tokenizer: its files' text, unless it is CLIP's own."""
    if folder is None or is_clip(folder):
        return {}
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    try:
        return {NOTE + path.name: path.read_text(encoding="utf-8") for path in found}
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot be read ({error})", where=str(folder)) from error


def unpack(metadata: Mapping[str, str]) -> Path | None:
    """Write noted files to a temporary folder, for the caller to remove; None if there are none."""
    noted = {name: metadata[NOTE + name] for name in NAMES if NOTE + name in metadata}
    if not noted:
        return None
    folder = Path(tempfile.mkdtemp(prefix="gesso-tokenizer-"))
    for name, text in noted.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def copy(source: Path | None, target: Path, max_length: int) -> None:
    """Make a Diffusers ``tokenizer`` folder, of a tokenizer's files or of CLIP's own."""
    target.mkdir()
    folder = CLIP_FOLDER if source is None else source
    for name in NAMES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    if source is None:
        write_clip_settings(target, max_length)


def write_clip_settings(folder: Path, max_length: int) -> None:
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    settings = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": max_length,
        "tokenizer_class": "CLIPTokenizer",
    }
    write_json(folder / "special_tokens_map.json", special)
    write_json(folder / "tokenizer_config.json", settings | special)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
