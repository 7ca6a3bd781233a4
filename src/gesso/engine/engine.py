"""Switching the optimisations of a model on and off."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import nn

from gesso.engine.layout import rows
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.engine.prepared import forget
from gesso.errors import RequestError

log = logging.getLogger(__name__)

SMALLEST_MODEL = 100_000_000
"""Parameters of the UNet from which "auto" loads kernels: below, that costs more than they save."""

LIGHT = ("channels-last", "packed-weights", "shared-prefix", "cached-context")
"""What "auto" switches on below that: what loads nothing, and changes nothing but the model."""


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
        RequestError: there is no such optimisation, not on this device, or something it needs is missing.
    """
    names = read_engine(engine, device)
    if names is not None:
        return names
    small = sum(parameter.numel() for parameter in unet.parameters()) < SMALLEST_MODEL
    names = available(device, dtype, LIGHT if small else tuple(OPTIMISATIONS))
    return [name for name in names if not (low_memory and OPTIMISATIONS[name].takes_memory)]


def read_engine(engine: str, device: torch.device) -> list[str] | None:
    """The optimisations that an ``--engine`` names; None for "auto", which depends on the model.

    Raises:
        RequestError: there is no such optimisation, not on this device, or something it needs is missing.
    """
    if engine == "auto":
        return None
    names = [name.strip() for name in engine.split(",") if name.strip()]
    if names == ["plain"]:
        return []
    for name in names or [engine]:
        if name not in OPTIMISATIONS:
            raise RequestError(
                f'there is no optimisation "{name}"',
                f"Use auto, plain, or some of {', '.join(OPTIMISATIONS)}.",
                where="engine",
            )
        optimisation = OPTIMISATIONS[name]
        if device.type not in optimisation.devices:
            raise RequestError(f'the optimisation "{name}" is not for {device.type}', where="engine")
        if optimisation.needs and not find_spec(optimisation.needs):
            raise RequestError(
                f'the optimisation "{name}" needs {optimisation.needs}, which is not installed',
                f"Install it, or leave {name} out.",
                where="engine",
            )
    return names


def available(device: torch.device, dtype: torch.dtype, names: Iterable[str] = OPTIMISATIONS) -> list[str]:
    """Those of some optimisations that help on a device in a precision, and have what they need."""
    if device.type == "cpu" and dtype != torch.float32:
        return []
    names = [name for name in names if device.type in OPTIMISATIONS[name].devices]
    missing = {need for name in names if (need := OPTIMISATIONS[name].needs) and not find_spec(need)}
    for need in sorted(missing):
        off = [name for name in names if OPTIMISATIONS[name].needs == need]
        log.warning("%s is not installed, so these optimisations are off: %s", need, ", ".join(off))
    return [name for name in names if OPTIMISATIONS[name].needs not in missing]


def optimise(models: Sequence[nn.Module], names: Iterable[str]) -> None:
    """Switch optimisations on; those already on stay on."""
    wanted = set(names)
    chosen = [(each, each.swaps()) for name, each in OPTIMISATIONS.items() if name in wanted]
    for model in models:
        for optimisation, _ in chosen:
            if optimisation.begin:
                optimisation.begin(model)
        for module in model.modules():
            for optimisation, swaps in chosen:
                if type(module) in swaps and (optimisation.suits is None or optimisation.suits(module)):
                    module.__class__ = swaps[type(module)]


def load_compiler(names: Iterable[str]) -> None:
    """Import what compiles the CPU's kernels if one of the named optimisations has any.

    The first kernel would import it. That takes a third of a second, which can be had for nothing while
    something else is waited for.
    """
    if any(OPTIMISATIONS[name].needs == "numba" for name in names):
        import_module("gesso.engine.cpu.jit")


def refresh(models: Sequence[nn.Module]) -> None:
    """Forget what fast modules prepared from weights, so that it is prepared anew.

    To be called by whoever writes to weights in a way that PyTorch does not count: into ``weight.data`` or
    ``weight.numpy()``. All other changes are noticed: writes to the parameters themselves (in ``no_grad``
    and inference mode too), ``load_state_dict``, optimisers, another tensor in a parameter's place.
    """
    for model in models:
        for module in model.modules():
            forget(module)


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
