"""The fields of a request that say whose customs it follows where programs differ, checked together."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from gesso.diffusion.rules import NOISE_SOURCES, SIGMA_RULES
from gesso.errors import RequestError
from gesso.pipeline.fields import check_name, check_whole
from gesso.pipeline.image_rules import IMAGE_RULES

if TYPE_CHECKING:
    from gesso.pipeline.request import GenerationRequest

PROMPT_TIMINGS = ("steps", "calls")
MAX_DELTA = 2**63 - 1
MAX_BATCH_INDEX = 4095

REPRODUCTION_FIELDS = (
    "noise_source",
    "eta_seed_delta",
    "batch_index",
    "sigma_rules",
    "discard_penultimate",
    "image_rules",
    "prompt_timing",
    "pad_prompts",
)


def check_reproduction(request: GenerationRequest) -> dict[str, Any]:
    """The values of all these fields as they are kept.

    Raises:
        RequestError: there is no such custom.
    """
    kept: dict[str, Any] = {
        "noise_source": _one_of(request.noise_source, NOISE_SOURCES, "noise_source"),
        "eta_seed_delta": check_whole(request.eta_seed_delta, "eta_seed_delta", -MAX_DELTA, MAX_DELTA),
        "sigma_rules": _one_of(request.sigma_rules, SIGMA_RULES, "sigma_rules"),
        "image_rules": _one_of(request.image_rules, IMAGE_RULES, "image_rules"),
        "prompt_timing": _one_of(request.prompt_timing, PROMPT_TIMINGS, "prompt_timing"),
    }
    if request.batch_index is not None:
        last = MAX_BATCH_INDEX - request.count + 1
        kept["batch_index"] = check_whole(request.batch_index, "batch_index", 0, last)
    if not isinstance(request.pad_prompts, bool):
        raise RequestError(f"{request.pad_prompts!r:.60} is neither true nor false", where="pad_prompts")
    if request.discard_penultimate is not None and not isinstance(request.discard_penultimate, bool):
        raise RequestError(
            f"{request.discard_penultimate!r:.60} is neither true nor false", where="discard_penultimate"
        )
    return kept


def _one_of(value: object, names: Collection[str], where: str) -> str:
    name = check_name(value, where)
    if name not in names:
        raise RequestError(f'"{name[:60]}" is unknown', f"Use {', '.join(names)}.", where=where)
    return name
