"""The colours of the figure: one fill and one stroke for each kind of block, told apart by all eyes."""

from __future__ import annotations

from typing import NamedTuple

from gesso.anatomy.outline import CROSS_ATTENTION, FEED_FORWARD, SELF_ATTENTION
from gesso.anatomy.tally import NAMES, REST


class Paint(NamedTuple):
    fill: str
    stroke: str


RESNET = Paint("#dbe8f6", "#2f6db0")
TRANSFORMER = Paint("#fdebcf", "#c77f12")
RESAMPLE = Paint("#e2f0df", "#3f8a3f")
CONVOLUTION = Paint("#ededee", "#73777f")
TIME = Paint("#f0e4f6", "#8440a0")
CONTEXT = Paint("#daf1f1", "#128080")
BAND = Paint("#f6f7f9", "#e3e6ea")
PANEL = Paint("#ffffff", "#c9ced6")

SKIP = "#b02a3c"
MUTED = "#616874"
FRAME = "#8a919c"

KINDS = {
    "ResnetBlock": RESNET,
    "SpatialTransformer": TRANSFORMER,
    "Downsample": RESAMPLE,
    "Upsample": RESAMPLE,
    "TimestepEmbedding": TIME,
}


SHARES = {
    NAMES["ResnetBlock"]: RESNET.stroke,
    SELF_ATTENTION: "#c77f12",
    CROSS_ATTENTION: "#e0a23f",
    FEED_FORWARD: "#efc27c",
    REST: "#f8dfb6",
    NAMES["Downsample"]: RESAMPLE.stroke,
    NAMES["TimestepEmbedding"]: TIME.stroke,
}


def paint(kind: str) -> Paint:
    """The colours of a kind of block; plain layers are grey."""
    return KINDS.get(kind, CONVOLUTION)


def share_colour(name: str) -> str:
    """The colour of a tally's entry in bars."""
    return SHARES.get(name, CONVOLUTION.stroke)
