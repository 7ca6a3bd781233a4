"""The outline of a network: its blocks in the order in which they run, with what they read and cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gesso.anatomy.arithmetic import Macs
from gesso.anatomy.shapes import Shape

SELF_ATTENTION, CROSS_ATTENTION, FEED_FORWARD = "self-attention", "cross-attention", "feed-forward"


@dataclass(frozen=True)
class Step:
    """One layer or function inside a block.

    Attributes:
        name: within the block ("conv1"), or the function's ("silu").
        kind: class of the module ("Conv2d"), or the function's name.
        detail: what its shapes do not tell ("3×3", "32 groups", "8 heads of 40"), if anything.
        role: what part of a transformer it serves ("self-attention", …); empty elsewhere.
        inputs, output: shapes for one sample, without the batch dimension.
        parameters: number of weights.
        macs: multiply–accumulates for one sample.
    """

    name: str
    kind: str
    detail: str
    role: str
    inputs: tuple[Shape, ...]
    output: Shape
    parameters: int
    macs: Macs


@dataclass(frozen=True)
class Skip:
    """What a ResnetBlock on the way up concatenates to its input.

    Attributes:
        label: of the layer on the way down that left it ("down 1.1").
        channels: its channels.
        input_channels: channels of the input it is concatenated to.
    """

    label: str
    channels: int
    input_channels: int


@dataclass(frozen=True)
class Block:
    """One block; shapes are for one sample, without the batch dimension.

    Attributes:
        path: of the module ("down_blocks.1.resnets.0").
        stage: the part of the network it belongs to ("down 1", "mid", "conv_in").
        label: of its layer; a ResnetBlock and the SpatialTransformer after it are one layer ("down 1.0").
        kind: class of the module ("ResnetBlock").
        inputs, output: shapes; the inputs after concatenation.
        parameters: number of weights.
        macs: multiply–accumulates for one sample.
        steps: what it runs, in order.
        reads: the skip it concatenates; None if it does not.
    """

    path: str
    stage: str
    label: str
    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    parameters: int
    macs: Macs
    steps: tuple[Step, ...]
    reads: Skip | None = None


@dataclass(frozen=True)
class Outline:
    """A network's blocks in the order in which they run."""

    blocks: tuple[Block, ...]

    @property
    def parameters(self) -> int:
        return sum(block.parameters for block in self.blocks)

    @property
    def macs(self) -> Macs:
        return total(block.macs for block in self.blocks)

    @property
    def stages(self) -> dict[str, tuple[Block, ...]]:
        """The blocks by stage, both in the order of running."""
        names = dict.fromkeys(block.stage for block in self.blocks)
        return {name: tuple(block for block in self.blocks if block.stage == name) for name in names}

    @property
    def skips(self) -> tuple[Block, ...]:
        """The blocks whose outputs are kept for the way up, in the order in which they are left."""
        read = {block.reads.label for block in self.blocks if block.reads}
        last_of_layer = {block.label: block for block in self.blocks if block.label in read}
        return tuple(last_of_layer.values())


def total(macs: Iterable[Macs]) -> Macs:
    return sum(macs, start=Macs())
