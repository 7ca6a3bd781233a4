"""Totals by kind of block: where a UNet's parameters and arithmetic are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gesso.anatomy.arithmetic import Macs
from gesso.anatomy.outline import CROSS_ATTENTION, FEED_FORWARD, SELF_ATTENTION, Block, Outline, total

ROLES = (SELF_ATTENTION, CROSS_ATTENTION, FEED_FORWARD)
REST = "norms and projections"


@dataclass(frozen=True)
class Entry:
    """One kind of block, or a part of it.

    Attributes:
        name: what it is called in a table.
        parameters, macs: of all blocks of the kind together.
        parts: what they are made of; empty where that is not told apart.
    """

    name: str
    parameters: int
    macs: Macs
    parts: tuple[Entry, ...] = ()


NAMES = {
    "ResnetBlock": "ResnetBlocks",
    "SpatialTransformer": "SpatialTransformers",
    "Downsample": "Downsample and Upsample",
    "Upsample": "Downsample and Upsample",
    "TimestepEmbedding": "time embedding",
}
OTHERS = "input and output layers"


def tally(outline: Outline) -> tuple[Entry, ...]:
    """The kinds of blocks of a UNet, those with the most parameters first; together they are all of it."""
    kinds: dict[str, list[Block]] = {}
    for block in outline.blocks:
        kinds.setdefault(NAMES.get(block.kind, OTHERS), []).append(block)
    entries = [
        Entry(name, count(blocks), total(block.macs for block in blocks), parts(blocks))
        for name, blocks in kinds.items()
    ]
    return tuple(sorted(entries, key=lambda entry: -entry.parameters))


def parts(blocks: Iterable[Block]) -> tuple[Entry, ...]:
    """What transformers are made of; nothing for blocks that are none."""
    steps = [step for block in blocks for step in block.steps]
    if not any(step.role for step in steps):
        return ()
    groups = {role: [step for step in steps if step.role == role] for role in ROLES}
    groups[REST] = [step for step in steps if not step.role]
    return tuple(
        Entry(name, sum(step.parameters for step in group), total(step.macs for step in group))
        for name, group in groups.items()
    )


def count(blocks: Iterable[Block]) -> int:
    return sum(block.parameters for block in blocks)
