"""How a sampler walks and is guided, in AUTOMATIC1111's words, both ways."""

from __future__ import annotations

from typing import Any

from gesso.pipeline.basic_fields import MAX_TOKEN_MERGING
from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.task_settings import short

SIGMA_SETTINGS = {
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
}
FIELDS = {label: name for name, label in SIGMA_SETTINGS.items()} | {
    "Eta": "eta",
    "Eta DDIM": "eta",
    "CFG Rescale phi": "guidance_rescale",
    "CFG Rescale φ": "guidance_rescale",
    "PAG scale": "pag_scale",
    "SAG scale": "sag_scale",
}


def sampling_settings(request: ResolvedRequest) -> dict[str, str]:
    """The settings of what a request sets itself; none where the sampler decides."""
    settings: dict[str, str] = {}
    if request.eta is not None:
        settings["Eta DDIM" if request.sampler == "ddim" else "Eta"] = short(request.eta)
    for name, label in SIGMA_SETTINGS.items():
        if getattr(request, name) is not None:
            settings[label] = short(getattr(request, name))
    if request.token_merging > 0:
        settings["Token merging ratio"] = short(request.token_merging)
    if request.guidance_rescale > 0:
        settings["CFG Rescale phi"] = short(request.guidance_rescale)
    if request.guidance_interval is not None:
        settings["Guidance interval"] = "..".join(short(end) for end in request.guidance_interval)
    return settings | _quality_settings(request)


def _quality_settings(request: ResolvedRequest) -> dict[str, str]:
    """Under gesso's own names: AUTOMATIC1111 has none, and its extensions say more than is known here."""
    settings: dict[str, str] = {}
    if request.pag_scale > 0:
        settings["PAG scale"] = short(request.pag_scale)
        settings["PAG layers"] = ",".join(request.pag_layers)
    if request.sag_scale > 0:
        settings["SAG scale"] = short(request.sag_scale)
    if request.freeu is not None:
        settings["FreeU"] = ",".join(short(factor) for factor in request.freeu)
    return settings


def sampling_field(name: str, value: str) -> dict[str, Any] | None:
    """The request's field for one setting; None if it is none of these.

    Raises:
        ValueError: the value should be a number, and is none.
    """
    if name == "Guidance interval":
        return {"guidance_interval": [float(end) for end in value.split("..")]}
    if name == "PAG layers":
        return {"pag_layers": value.split(",")}
    if name == "FreeU":
        return {"freeu": [float(factor) for factor in value.split(",")]}
    if name == "Token merging ratio":
        return {"token_merging": min(float(value), MAX_TOKEN_MERGING)}  # more is the same there
    if name == "Sigma tmax" and float(value) == 0:
        return {"s_tmax": None}  # AUTOMATIC1111's word for no limit
    return {FIELDS[name]: float(value)} if name in FIELDS else None
