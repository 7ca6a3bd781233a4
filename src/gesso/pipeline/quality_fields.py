"""The fields of a request that guide by the network's own attention, or weigh what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gesso.config import ModelConfig
from gesso.errors import RequestError
from gesso.pipeline.fields import as_number, check_real
from gesso.pipeline.layers import check_layers, read_layers

if TYPE_CHECKING:
    from gesso.pipeline.request import GenerationRequest, ResolvedRequest

MAX_PAG_SCALE = 100.0
MAX_SAG_SCALE = 10.0
MAX_FACTOR = 10.0
SMALLEST_BLURRED = 5
"""Pixels of latents a side that self-attention guidance can blur."""


def check_quality(request: GenerationRequest) -> dict[str, Any]:
    """The values of all these fields as they are kept.

    Raises:
        RequestError: one cannot be drawn with.
    """
    return {
        "pag_scale": check_real(request.pag_scale, "pag_scale", 0.0, MAX_PAG_SCALE),
        "pag_layers": read_layers(request.pag_layers, "pag_layers"),
        "sag_scale": check_real(request.sag_scale, "sag_scale", 0.0, MAX_SAG_SCALE),
        "freeu": None if request.freeu is None else _check_freeu(request.freeu),
    }


def check_quality_with(request: ResolvedRequest, config: ModelConfig) -> None:
    """Refuse what a model cannot draw with.

    Raises:
        RequestError: it lacks a layer, or the picture is too small for it.
    """
    if request.pag_scale > 0:
        check_layers(config.unet, request.pag_layers, "pag_layers")
    smallest = SMALLEST_BLURRED * config.autoencoder.downscale
    if request.sag_scale > 0 and min(request.width, request.height) < smallest:
        raise RequestError(
            f"{request.width}×{request.height} pixels are too few to blur",
            f"Draw {smallest} or more a side, or leave it out.",
            where="sag_scale",
        )


def _check_freeu(value: object) -> tuple[float, ...]:
    where = "freeu"
    factors: object = value.split(",") if isinstance(value, str) else value
    if not isinstance(factors, Sequence) or len(factors) != 4:
        raise RequestError(
            f"{value!r:.60} is not four factors", "Use b1,b2,s1,s2, such as 1.5,1.6,0.9,0.2.", where=where
        )
    return tuple(check_real(as_number(factor), where, 0.0, MAX_FACTOR) for factor in factors)
