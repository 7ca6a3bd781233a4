"""Stable Diffusion 1.x, whole: prompt -> text encoder -> UNet -> autoencoder -> picture.

    import gesso

    pipe = gesso.load()                  # the built-in storybook model, or any SD 1.x checkpoint
    result = pipe("a red house beside a pine tree, at night", seed=7)
    result.images[0].save("house.png")

Names are imported when they are first used: ``import gesso`` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gesso.config import ModelConfig as ModelConfig
    from gesso.errors import GessoError as GessoError
    from gesso.pipeline.grid import Grid as Grid
    from gesso.pipeline.heatmap_sheet import heatmap_sheet as heatmap_sheet
    from gesso.pipeline.heatmaps import HeatmapRecorder as HeatmapRecorder
    from gesso.pipeline.load import load as load
    from gesso.pipeline.metadata import read_request as read_request
    from gesso.pipeline.pipeline import Pipeline as Pipeline
    from gesso.pipeline.pipeline import Result as Result
    from gesso.pipeline.request import GenerationRequest as GenerationRequest
    from gesso.pipeline.sheet import draw_sheet as draw_sheet

_HOMES = {
    "GenerationRequest": "gesso.pipeline.request",
    "GessoError": "gesso.errors",
    "Grid": "gesso.pipeline.grid",
    "HeatmapRecorder": "gesso.pipeline.heatmaps",
    "ModelConfig": "gesso.config",
    "Pipeline": "gesso.pipeline.pipeline",
    "Result": "gesso.pipeline.pipeline",
    "draw_sheet": "gesso.pipeline.sheet",
    "heatmap_sheet": "gesso.pipeline.heatmap_sheet",
    "load": "gesso.pipeline.load",
    "read_request": "gesso.pipeline.metadata",
}

__all__ = [
    "GenerationRequest",
    "GessoError",
    "Grid",
    "HeatmapRecorder",
    "ModelConfig",
    "Pipeline",
    "Result",
    "__version__",
    "draw_sheet",
    "heatmap_sheet",
    "load",
    "read_request",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gesso' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
