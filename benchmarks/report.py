"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine

from gesso.cli.table import table


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns under a blank line, at once even into a pipe."""
    print(f"\n{table(head, rows)}", flush=True)


def write_json(path: Path | None, benchmark: str, settings: dict[str, Any], results: Any) -> None:
    """Everything that was measured, and on what; nothing without a path."""
    if path is None:
        return
    record = {
        "benchmark": benchmark,
        "machine": machine.describe(),
        "settings": settings,
        "results": results,
    }
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
