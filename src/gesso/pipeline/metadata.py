"""What a picture's file says about how it was made, both ways.

Two texts go into each picture: AUTOMATIC1111's ``parameters``, which the tools of the field show and read,
and gesso's own ``gesso``, the whole request as JSON, which alone is exact. Of pictures by others the first
is read, or what ComfyUI writes instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from PIL.PngImagePlugin import PngInfo

from gesso import __version__
from gesso.errors import ImageError, RequestError
from gesso.pipeline.comfyui import read_graph
from gesso.pipeline.parameters import from_parameters, to_parameters, writer
from gesso.pipeline.picture_text import read_texts
from gesso.pipeline.profiles import PROFILES, find_profile
from gesso.pipeline.request import GenerationRequest, ResolvedRequest


@dataclass(frozen=True)
class ReadRequest:
    """What a picture says of its making.

    Attributes:
        fields: of its request, as `GenerationRequest.to_json` writes them; not yet validated.
        model: what its model was called; None if it does not say.
        unknown: settings that are none of gesso's, by name; the picture may have depended on them.
        source: which text it comes from: gesso's, AUTOMATIC1111's, or ComfyUI's.
        like: the profile that fills in what the text leaves out; None where nothing is left out, or its
            program is not one that is known.
        version: of the program that wrote it, as it says; None if it does not.
        model_hash: the first digits of the SHA-256 of the model's file, where the text has them.
        lora_hashes: likewise of the LoRAs, by name.
    """

    fields: dict[str, Any]
    model: str | None
    unknown: dict[str, str]
    source: Literal["gesso", "parameters", "comfyui"]
    like: str | None = None
    version: str | None = None
    model_hash: str | None = None
    lora_hashes: Mapping[str, str] = field(default_factory=dict)

    def request(self, *, like: str | None = None, **changes: object) -> GenerationRequest:
        """The request, with some fields changed.

        Args:
            like: another program to draw it like.

        Raises:
            RequestError: gesso cannot draw it, for want of a sampler, say.
        """
        said = self.fields
        if like is not None:
            profile = find_profile(like)
            said = {**said, **profile.customs} if self.source == "gesso" else {**profile.customs, **said}
            if "clip_skip" in changes:
                changes["clip_skip"] = profile.layer(changes["clip_skip"])
        elif self.like is not None:
            said = {**PROFILES[self.like].customs, **said}
        return GenerationRequest.from_json({**said, **changes})


def png_info(request: ResolvedRequest, model_name: str, index: int = 0) -> PngInfo:
    """Both texts for picture ``index`` of a request: that picture alone, whatever batch it was drawn in."""
    own = {"gesso": __version__, "model": model_name, "request": request.picture(index).to_json()}
    info = PngInfo()
    info.add_text("parameters", to_parameters(request, model_name, index))
    info.add_text("gesso", json.dumps(own))
    return info


def read_request(path: Path) -> ReadRequest:
    """Read the request a picture was made with: gesso's own text, AUTOMATIC1111's, or ComfyUI's.

    Raises:
        ImageError: the file is not readable, is no PNG, JPEG or WebP file, carries no request, a damaged
            one, or a ComfyUI graph that is more than the plain one.
    """
    texts = read_texts(path)
    if "gesso" in texts:
        return _from_own(texts["gesso"], path)
    if "parameters" in texts:
        return _from_parameters(texts["parameters"], path)
    if "prompt" in texts or "workflow" in texts:
        fields, model = read_graph(texts.get("prompt"), str(path))
        return ReadRequest(fields, model, {}, "comfyui", "comfyui")
    if "gesso-grid" in texts:
        raise ImageError("it is the sheet of a grid", "Give one of the grid's pictures.", where=str(path))
    raise ImageError(
        "it carries no request",
        "Only pictures of gesso, AUTOMATIC1111, Forge or ComfyUI do, as they were saved there.",
        where=str(path),
    )


def _from_parameters(text: str, path: Path) -> ReadRequest:
    try:
        fields, unknown = from_parameters(text)
    except RequestError as error:
        raise ImageError(f"its parameters are not readable: {error}", where=str(path)) from error
    like = writer(unknown)
    hashes = (each.partition(":") for each in unknown.pop("Lora hashes", "").split(",") if each.strip())
    return ReadRequest(
        fields,
        unknown.pop("Model", None),
        unknown,
        "parameters",
        like,
        unknown.pop("Version", None),
        unknown.pop("Model hash", None),
        {name.strip(): value.strip() for name, _, value in hashes},
    )


def _from_own(text: str, path: Path) -> ReadRequest:
    try:
        own = json.loads(text)
        fields, model = own["request"], own.get("model")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ImageError("its gesso text is damaged", where=str(path)) from error
    if not isinstance(fields, dict):
        raise ImageError("its gesso text is damaged", where=str(path))
    return ReadRequest(cast(dict[str, Any], fields), model if isinstance(model, str) else None, {}, "gesso")
