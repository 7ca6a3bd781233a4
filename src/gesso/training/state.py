"""The file a training run resumes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(vars(state), file)
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


def load_state(path: Path, fingerprint: dict[str, Any]) -> TrainingState:
    """Read a state back, on the CPU.

    Raises:
        ResumeError: the file is unreadable, or belongs to a run of other settings (which are named).
    """
    advice = "Choose another --output folder, or remove the file to start anew."
    try:
        state = TrainingState(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever broken bytes lead to
        reason = shorten(str(error), 100)
        raise ResumeError(f"not a readable training state ({reason})", advice, where=str(path)) from error
    if state.fingerprint != fingerprint:
        keys = sorted(fingerprint.keys() | state.fingerprint.keys())
        different = [key for key in keys if state.fingerprint.get(key) != fingerprint.get(key)]
        raise ResumeError(f"belongs to a run with another {', '.join(different)}", advice, where=str(path))
    return state
