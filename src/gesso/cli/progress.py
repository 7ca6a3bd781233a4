"""Progress bars on stderr: only on a terminal, never in a pipe or a log file."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


def progress_bar(total: int, description: str, unit: str = "step") -> tqdm[Any]:
    """A bar with step, time and time left; ``set_postfix_str`` adds what else there is to say."""
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        disable=None,  # None: where stderr is not a terminal
        leave=False,
        dynamic_ncols=True,
        bar_format="{desc}  {bar}  {n_fmt}/{total_fmt}{postfix}  {elapsed} (left {remaining})",
    )
