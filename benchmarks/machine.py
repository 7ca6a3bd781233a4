"""On which machine, and with which versions, a figure was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gesso.engine.measure import processor

PACKAGES = ("gesso", "torch", "numba", "diffusers", "transformers", "openvino")


def describe() -> dict[str, Any]:
    """For the JSON."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def headline() -> str:
    """The same in a line."""
    machine = describe()
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, {versions}"


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
