"""The fields of a request that every picture has, within their ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gesso.errors import RequestError
from gesso.pipeline.fields import check_real, check_side, check_whole

if TYPE_CHECKING:
    from gesso.pipeline.request import GenerationRequest

MAX_GUIDANCE_SCALE = 100.0
MAX_SEED = 2**64 - 1
MAX_SIDE = 8192
MAX_TOKEN_MERGING = 0.75
DRAWN_SEEDS = 2**32  # short enough to retype, and every other program takes them

WHOLE = {
    "steps": (1, 1000),
    "count": (1, 10_000),
    "batch_size": (1, 10_000),
    "clip_skip": (1, 12),
    "comma_backtrack": (0, 75),
    "deep_cache": (1, 20),
}
"""Whole numbers: the least and the most of each."""


def check_basics(request: GenerationRequest) -> dict[str, Any]:
    """The values of these fields as they are kept.

    Raises:
        RequestError: one is out of its range.
    """
    kept: dict[str, Any] = {
        name: check_whole(getattr(request, name), name, *bounds) for name, bounds in WHOLE.items()
    }
    kept["token_merging"] = check_real(request.token_merging, "token_merging", 0.0, MAX_TOKEN_MERGING)
    if request.guidance_scale is not None:
        kept["guidance_scale"] = check_real(
            request.guidance_scale, "guidance_scale", 0.0, MAX_GUIDANCE_SCALE
        )
    for side in ("width", "height"):
        if getattr(request, side) is not None:
            kept[side] = check_side(getattr(request, side), side, 8, MAX_SIDE)
    if request.seed is not None:
        kept["seed"] = _check_seed(request.seed, kept["count"])
    return kept


def _check_seed(seed: int, count: int) -> int:
    seed = check_whole(seed, "seed", 0, MAX_SEED)
    if seed + count - 1 > MAX_SEED:
        raise RequestError(
            f"{seed} with count {count} leads past {MAX_SEED}",
            f"Use at most {MAX_SEED - count + 1}.",
            where="seed",
        )
    return seed
