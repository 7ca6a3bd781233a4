"""What is said of words that a model was never taught."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gesso.cli.message import say

if TYPE_CHECKING:
    from gesso.pipeline.pipeline import Pipeline
    from gesso.pipeline.request import GenerationRequest

NAMED = 20
"""How many words a line names before it counts the rest."""

LONGEST = 40
"""Letters of a word that are shown."""


class UnknownWords:
    """Says each word that a model was never taught once, however many pictures are drawn of it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.told: set[str] = set()

    def tell(self, requests: Iterable[GenerationRequest], where: str | None = None) -> None:
        """Say in one line which words of requests the model was never taught, if any are new.

        Args:
            where: to begin the line with.
        """
        words = dict.fromkeys(word for each in requests for word in self.pipeline.unknown_words(each))
        new = [word for word in words if word not in self.told]
        self.told.update(new)
        if new:
            noun, them = ("word", "it") if len(new) == 1 else ("words", "them")
            line = f"{self.pipeline.name} never saw the {noun} {listing(new)}, and can only guess at {them}"
            say(line if where is None else f"{where}: {line}")


def listing(words: list[str]) -> str:
    """Words in quotation marks, with commas and "and" between them."""
    shown = [f'"{word if len(word) <= LONGEST else word[:LONGEST] + "…"}"' for word in words[:NAMED]]
    if len(words) > NAMED:
        shown.append(f"{len(words) - NAMED:,} more")
    *others, last = shown
    return f"{', '.join(others)} and {last}" if others else last
