"""The file a training run resumes from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from gesso.errors import OutputError, ResumeError


@dataclass
class TrainingState:
    """Everything the next step depends on.

    Attributes:
        fingerprint: the settings that must not change between the parts of a run.
        step: number of steps done.
        model, average: state dicts.
        optimizers: the state dict of each.
    """

    fingerprint: dict[str, Any]
    step: int
    model: dict[str, Any]
    average: dict[str, Any]
    optimizers: list[dict[str, Any]]


def save_state(state: TrainingState, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        OutputError: the disk is full or the folder cannot be written; an earlier file is still there.
    """
    write_state(vars(state), path)


def load_state(path: Path, fingerprint: dict[str, Any]) -> TrainingState:
    """Read a state back, on the CPU.

    Raises:
        ResumeError: the file is unreadable, or belongs to a run of other settings (which are named).
    """
    return TrainingState(**read_state(path, fingerprint, [field.name for field in fields(TrainingState)]))


def write_state(content: dict[str, Any], path: Path) -> None:
    """Write what a run resumes from, its "fingerprint" in it, as ``save_state`` does."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as a RuntimeError
        raise OutputError(
            f"the training state cannot be written ({error})",
            "Make room; the state saved before is still there.",
            where=str(path),
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_state(path: Path, fingerprint: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """What ``write_state`` wrote, if it has exactly these keys and this "fingerprint"."""
    advice = "Choose another --output folder, or remove the file to start anew."
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if sorted(content) != sorted(keys):
            raise ValueError(f"it has {', '.join(map(str, content))}")
    except Exception as error:  # torch.load raises whatever broken bytes lead to
        reason = shorten(str(error), 100)
        raise ResumeError(f"not a readable training state ({reason})", advice, where=str(path)) from error
    before = content["fingerprint"]
    if before != fingerprint:
        named = sorted(fingerprint.keys() | before.keys())
        different = [key for key in named if before.get(key) != fingerprint.get(key)]
        raise ResumeError(f"belongs to a run with another {', '.join(different)}", advice, where=str(path))
    return content
