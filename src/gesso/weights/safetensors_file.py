"""The safetensors format: eight bytes of length, a JSON header, and the tensors one after the other."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from mmap import ACCESS_COPY, mmap
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
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.bool: "BOOL",
}
"""What the header calls each precision."""

PRECISIONS = {name: dtype for dtype, name in DTYPES.items()}

ALIGNMENT = 64
"""Bytes. The header is padded to a multiple, so that mapped tensors begin where vector loads like it."""


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, memory-mapped: privately, so that writing to one leaves the file alone."""
    header = read_header(path)
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:  # checks what the entries promise
            unlike = entries.keys() ^ set(file.keys())
        if unlike:
            raise ValueError(f"it is unclear whether it has {min(unlike)}")
        return mapped_tensors(path, entries)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise FormatError(f"is a corrupt safetensors file ({error})", AGAIN, where=str(path)) from error


def mapped_tensors(path: Path, entries: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors over one mapping of the file, which lasts as long as any of them.

    One tensor at a time, as the library maps them, the same takes several times as long.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        mapping = mmap(file.fileno(), 0, access=ACCESS_COPY)
    return {name: mapped_tensor(mapping, 8 + length, entry) for name, entry in entries.items()}


def mapped_tensor(mapping: mmap, start: int, entry: Mapping[str, Any]) -> Tensor:
    """One tensor of a mapped file whose data begin at ``start``."""
    dtype, shape = PRECISIONS[entry["dtype"]], entry["shape"]
    begin, end = entry["data_offsets"]
    count = math.prod(shape)
    if end - begin != count * dtype.itemsize:
        raise ValueError(f"{shape} of {dtype} are not {end - begin} bytes")
    if not count:
        return torch.empty(shape, dtype=dtype)
    if (start + begin) % dtype.itemsize:  # old writers did not align; few operations take such an address
        data = torch.frombuffer(mapping, dtype=torch.uint8, count=end - begin, offset=start + begin)
        return data.clone().view(dtype).view(shape)
    return torch.frombuffer(mapping, dtype=dtype, count=count, offset=start + begin).view(shape)


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
