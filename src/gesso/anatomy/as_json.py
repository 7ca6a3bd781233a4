"""The anatomy of a model as JSON: everything the report and the figure are made from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gesso.anatomy.arithmetic import Macs
from gesso.anatomy.dissect import Anatomy
from gesso.anatomy.outline import Block, Outline


def to_json(anatomy: Anatomy) -> dict[str, Any]:
    """The anatomy in types that ``json.dumps`` takes."""
    parts = {
        "text_encoder": anatomy.text_encoder,
        "unet": anatomy.unet,
        "encoder": anatomy.encoder,
        "decoder": anatomy.decoder,
    }
    return {
        "config": asdict(anatomy.config),
        "width": anatomy.width,
        "height": anatomy.height,
        "latents_shape": anatomy.latents_shape,
        "context_shape": anatomy.context_shape,
        "parameters": anatomy.parameters,
        **{name: outline_to_json(part) for name, part in parts.items()},
    }


def outline_to_json(outline: Outline) -> dict[str, Any]:
    return {
        "parameters": outline.parameters,
        "macs": macs_to_json(outline.macs),
        "skips": [block.label for block in outline.skips],
        "blocks": [
            {**asdict(block), "macs": macs_to_json(block.macs), "steps": steps_to_json(block)}
            for block in outline.blocks
        ],
    }


def steps_to_json(block: Block) -> list[dict[str, Any]]:
    return [{**asdict(step), "macs": macs_to_json(step.macs)} for step in block.steps]


def macs_to_json(macs: Macs) -> dict[str, int]:
    return {**asdict(macs), "total": macs.total}
