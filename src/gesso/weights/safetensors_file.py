"""The safetensors format: eight bytes of length, a JSON header, and the tensors one after the other."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gesso.errors import FormatError
from gesso.weights.formats import AGAIN

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What the header calls each precision."""

ALIGNMENT = 64
"""Bytes. The header is padded to a multiple, so that mapped tensors begin where vector loads like it."""


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, memory-mapped."""
    read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise FormatError(f"is a corrupt safetensors file ({error})", AGAIN, where=str(path)) from error


def read_header(path: Path) -> dict[str, Any]:
    """The JSON a safetensors file begins with, checked against the size of the file."""
    where = str(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if 8 + length > size:
            raise FormatError("is cut off in its header", AGAIN, where=where)
        text = file.read(length)
    try:
        header = json.loads(text)
        header.get("__metadata__", {}).items()
        end = max(
            (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"),
            default=0,
        )
        missing = 8 + length + end - size
    except (ValueError, AttributeError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise FormatError("is a safetensors file with a corrupt header", AGAIN, where=where) from error
    if missing > 0:
        raise FormatError(
            f"is cut off: {missing:,} of {size + missing:,} bytes are missing", AGAIN, where=where
        )
    return header


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
) -> None:
    """Write tensors one at a time, so that gigabytes of mapped weights pass through little memory.

    Args:
        metadata: notes for the header, beside ``format: pt``, which other readers ask for.
        dtype: cast floating-point tensors to this precision; None keeps each one's.
    """
    # the widest first: then each one begins at a multiple of its own width
    names = sorted(tensors, key=lambda name: (-target_dtype(tensors[name], dtype).itemsize, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    end = 0
    for name in names:
        precision = target_dtype(tensors[name], dtype)
        begin, end = end, end + tensors[name].numel() * precision.itemsize
        shape = list(tensors[name].shape)
        header[name] = {"dtype": DTYPES[precision], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with path.open("xb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name in names:
            tensor = tensors[name].detach().to("cpu", target_dtype(tensors[name], dtype))
            file.write(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().data)


def target_dtype(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
