"""The fields of a request that say how its sampler walks and how it is guided, checked together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gesso.diffusion.samplers import OPTIONS, SAMPLERS, Sampler
from gesso.errors import RequestError
from gesso.pipeline.fields import as_number, check_real
from gesso.pipeline.quality_fields import check_quality

if TYPE_CHECKING:
    from gesso.pipeline.request import GenerationRequest

MAX_SIGMA = 10_000.0


def check_sampling(request: GenerationRequest, sampler: Sampler | None) -> dict[str, Any]:
    """The values of all these fields as they are kept; None is the sampler of a model yet unknown.

    Raises:
        RequestError: one cannot be drawn with, or the sampler does not take it.
    """
    kept: dict[str, Any] = {
        name: _check_option(name, getattr(request, name), sampler)
        for name in OPTIONS
        if getattr(request, name) is not None
    }
    if kept.get("s_tmin", 0.0) > kept.get("s_tmax", MAX_SIGMA):
        raise RequestError(
            f"{kept['s_tmin']:g} is above s_tmax, {kept['s_tmax']:g}, so no noise would be added",
            "Noise is added from s_tmin to s_tmax.",
            where="s_tmin",
        )
    kept["guidance_rescale"] = check_real(request.guidance_rescale, "guidance_rescale", 0.0, 1.0)
    if request.guidance_interval is not None:
        kept["guidance_interval"] = _check_interval(request.guidance_interval)
    return kept | check_quality(request)


def sampler_options(request: GenerationRequest) -> dict[str, float]:
    """The keywords for the sampler's function: those a request sets."""
    set_ones = {name: getattr(request, name) for name in OPTIONS}
    return {name: value for name, value in set_ones.items() if value is not None}


def _check_option(name: str, value: object, sampler: Sampler | None) -> float:
    if sampler is not None and name not in sampler.options:
        takers = ", ".join(other.name for other in SAMPLERS.values() if name in other.options)
        raise RequestError(
            f"the sampler {sampler.name} takes no {name}", f"Leave it out, or use {takers}.", where=name
        )
    return check_real(value, name, *OPTIONS[name])


def _check_interval(value: object) -> tuple[float, float]:
    where = "guidance_interval"
    ends: object = value.replace("..", ",").split(",") if isinstance(value, str) else value
    if not isinstance(ends, Sequence) or len(ends) != 2:
        raise RequestError(f"{value!r} is no interval", "Use two sigmas, such as 0.28,5.42.", where=where)
    low, high = (check_real(as_number(end), where, 0.0, MAX_SIGMA) for end in ends)
    if low >= high:
        raise RequestError(f"{low:g} is not below {high:g}", "Give the smaller sigma first.", where=where)
    return low, high
