"""Which of a UNet's transformers a request means: "mid", "down.2", "up.1", or one of a block, "up.1.0"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gesso.config import UNetConfig
from gesso.errors import RequestError

LAYER = re.compile(r"(mid)(?:_block)?|(down|up)(?:_blocks?)?\.(\d{1,2})(?:\.(?:attentions\.)?(\d{1,2}))?")


def read_layers(value: object, where: str) -> tuple[str, ...]:
    """The names as they are kept, of text with commas or a list; Diffusers' ``up_blocks.1`` is ``up.1``.

    Raises:
        RequestError: there is none, or one is no name of a layer.
    """
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names:
        raise RequestError(f"{value!r:.60} names no layer", "Use names such as mid,up.1.", where=where)
    return tuple(dict.fromkeys(_read(name, where) for name in names))


def _read(name: object, where: str) -> str:
    found = LAYER.fullmatch(name.strip()) if isinstance(name, str) else None
    if found is None:
        raise RequestError(
            f"{name!r:.60} is no layer", "Use names such as mid, down.2 or up.1.", where=where
        )
    return ".".join(part for part in found.groups() if part is not None)


def check_layers(config: UNetConfig, names: Sequence[str], where: str) -> None:
    """Refuse layers that a UNet does not have.

    Raises:
        RequestError: the message names those it has.
    """
    places = _places(config)
    for name in names:
        if not any(_is_in(place, name) for place in places):
            blocks = ", ".join(dict.fromkeys(place.rpartition(".")[0] or place for place in places))
            raise RequestError(f"this model attends nowhere in {name}", f"Use {blocks}.", where=where)


def transformers_in(config: UNetConfig, names: Sequence[str]) -> list[str]:
    """Where the SpatialTransformers of these layers are in a UNet, such as ``up_blocks.1.attentions.0``."""
    return [path for place, path in _places(config).items() if any(_is_in(place, name) for name in names)]


def _is_in(place: str, name: str) -> bool:
    return place == name or place.startswith(f"{name}.")


def _places(config: UNetConfig) -> dict[str, str]:
    """What requests call each SpatialTransformer, and where it is, from the way in to the way out."""
    levels, layers = config.attention_levels, config.layers_per_block
    down = {
        f"down.{block}.{layer}": f"down_blocks.{block}.attentions.{layer}"
        for block in range(len(levels))
        for layer in range(layers)
        if levels[block]
    }
    up = {
        f"up.{block}.{layer}": f"up_blocks.{block}.attentions.{layer}"
        for block in range(len(levels))
        for layer in range(layers + 1)
        if levels[-1 - block]
    }
    return down | {"mid": "mid_block.attentions.0"} | up
