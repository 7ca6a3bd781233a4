"""What storybook_score.py measured, as a table in Markdown.

python benchmarks/storybook_score_table.py score.json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storybook_score_record import Record

from gesso.storybook.shares import EVERY

HEAD = (
    "sampler", "steps", "guidance", "attributes, seen", "unseen", "whole, seen", "unseen",
    "Fréchet distance", "diversity",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("json", type=Path, help="what storybook_score.py wrote")
    print(table(Record.read(parser.parse_args().json)))


def table(record: Record) -> str:
    """A line a setting, in the order of sampler, steps and guidance; the last is what renderings reach."""
    ordered = sorted(record.results, key=lambda each: (each.sampler, each.steps, each.guidance_scale))
    rows = [
        (each.sampler, str(each.steps), f"{each.guidance_scale:g}", *figures(record.results[each]))
        for each in ordered
    ]
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    if ordered:
        lines.append(("renderings", "", "", *ceiling(record.results[ordered[0]])))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(score: Mapping[str, Any]) -> tuple[str, ...]:
    """Shares with their standard errors in percent, and the two measures of all pictures together."""
    shares = [
        f"{score[part]['drawn'][name]:.1%} ± {100 * score[part]['error'][name]:.1f}"
        for name in (EVERY, "whole")
        for part in ("seen", "unseen")
    ]
    diversity = score["diversity"]
    return (*shares, f"{score['frechet']:.3f}", "" if diversity is None else f"{diversity:.2f}")


def ceiling(score: Mapping[str, Any]) -> tuple[str, ...]:
    """The same of renderings."""
    shares = [
        f"{score[part]['ceiling'][name]:.1%}" for name in (EVERY, "whole") for part in ("seen", "unseen")
    ]
    return (*shares, f"{score['frechet_ceiling']:.3f}", "1")


if __name__ == "__main__":
    main()
