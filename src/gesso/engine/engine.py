"""Switching the optimisations of a model on and off."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

import torch
from torch import nn

from gesso.engine.layout import rows
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.engine.prepared import forget
from gesso.errors import RequestError

log = logging.getLogger(__name__)

SMALLEST_MODEL = 100_000_000
"""Parameters of the UNet from which "auto" optimises: below, loading kernels costs more than they save."""


def choose_engine(
    engine: str,
    unet: nn.Module,
    device: torch.device,
    dtype: torch.dtype,
    *,
    low_memory: bool = False,
) -> list[str]:
    """The optimisations that an ``--engine`` asks for.

    Args:
        engine: "auto" (what helps this model on this device), "plain" (nothing: the models as they are
            written), or names from `OPTIMISATIONS` with commas between them.
        low_memory: "auto" leaves out what takes memory.

    Raises:
        RequestError: there is no such optimisation, or not on this device.
    """
    if engine == "plain":
        return []
    if engine == "auto":
        small = sum(parameter.numel() for parameter in unet.parameters()) < SMALLEST_MODEL
        names = [] if small else available(device, dtype)
        return [name for name in names if not (low_memory and OPTIMISATIONS[name].takes_memory)]
    names = [name.strip() for name in engine.split(",") if name.strip()]
    for name in names:
        if name not in OPTIMISATIONS:
            raise RequestError(
                f'there is no optimisation "{name}"',
                f"Use auto, plain, or some of {', '.join(OPTIMISATIONS)}.",
                where="engine",
            )
        if device.type not in OPTIMISATIONS[name].devices:
            raise RequestError(f'the optimisation "{name}" is not for {device.type}', where="engine")
    return names


def available(device: torch.device, dtype: torch.dtype) -> list[str]:
    """The names of all that help on a device in a precision."""
    if device.type == "cpu" and dtype != torch.float32:
        return []
    if device.type == "cpu" and find_spec("numba") is None:
        log.warning(
            "Numba is not installed, so the CPU's kernels are off; it comes with gesso's requirements"
        )
        return []
    names = [name for name, each in OPTIMISATIONS.items() if device.type in each.devices]
    missing = sorted(
        {need for name in names if (need := OPTIMISATIONS[name].needs) and not find_spec(need)}
    )
    if missing:
        log.warning("%s is not installed, so the GPU's kernels are off", " and ".join(missing).capitalize())
    return [name for name in names if OPTIMISATIONS[name].needs not in missing]


def optimise(models: Sequence[nn.Module], names: Iterable[str]) -> None:
    """Switch optimisations on; those already on stay on."""
    wanted = set(names)
    for optimisation in (each for name, each in OPTIMISATIONS.items() if name in wanted):
        swaps = optimisation.swaps()
        for model in models:
            if optimisation.begin:
                optimisation.begin(model)
            for module in list(model.modules()):
                if type(module) in swaps and optimisation.suits(module):
                    module.__class__ = swaps[type(module)]


def switch_off(models: Sequence[nn.Module]) -> None:
    """Give every module its plain class back, and its weights the layout that they were loaded in."""
    for model in models:
        for module in model.modules():
            forget(module)
            module.__class__ = plain_class(module)
        rows(model)


def plain_class(module: nn.Module) -> type[nn.Module]:
    """The class that a module is written as: the first it inherits from that is none of the engine's."""
    return next(each for each in type(module).__mro__ if not each.__module__.startswith("gesso.engine."))
