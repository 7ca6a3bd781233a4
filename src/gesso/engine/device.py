"""Where the models run and in which precision."""

from __future__ import annotations

import torch

from gesso.errors import RequestError

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "float16", "bfloat16")


def choose_device(name: str) -> torch.device:
    """The device called ``name`` ("cuda:1" too); "auto" is the GPU if there is one, else the CPU.

    Raises:
        RequestError: there is no such device on this machine.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, present in available.items() if present)
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdecimal()):
        raise RequestError(f'no device is called "{name}"', f"Use {', '.join(DEVICES)}.", where="device")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not available[kind] or int(index or 0) >= count:
        raise RequestError(
            f"this machine, or this build of torch, has no {name}", "Use cpu, or auto.", where="device"
        )
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision called ``name``; "auto" is float16 on a CUDA GPU and float32 elsewhere.

    Raises:
        RequestError: there is no such precision.
    """
    if name not in DTYPES:
        raise RequestError(f'no precision is called "{name}"', f"Use {', '.join(DTYPES)}.", where="dtype")
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return getattr(torch, name)
