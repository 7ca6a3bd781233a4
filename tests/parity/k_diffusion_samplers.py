"""k-diffusion's samplers, for the tests that compare with them."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SAMPLERS_OF_K_DIFFUSION = (
    "euler",
    "euler_ancestral",
    "heun",
    "lms",
    "dpm_2",
    "dpm_2_ancestral",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_3m_sde",
)
"""Those that gesso has, too, by gesso's names."""


@cache
def load_k_diffusion() -> Any:
    """k-diffusion's samplers alone: the package asks for libraries of training."""
    found = importlib.util.find_spec("k_diffusion")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("needs `pip install --no-deps k-diffusion`", allow_module_level=True)
    package, utils = ModuleType("k_diffusion"), ModuleType("k_diffusion.utils")
    package.__path__ = list(found.submodule_search_locations)
    vars(utils)["append_dims"] = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)]
    vars(package)["utils"] = utils
    sys.modules |= {"k_diffusion": package, "k_diffusion.utils": utils}
    path = Path(package.__path__[0]) / "sampling.py"
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
