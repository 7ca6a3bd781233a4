"""Weights files: bytes to tensors, never code.

The format is recognised from the bytes. Tensors of safetensors files and of current torch.save files are
memory-mapped, privately: they cost no memory until used, and writing to them does not change the file,
which must stay as it is while they are in use.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from gesso.errors import FormatError
from gesso.weights.formats import weights_format
from gesso.weights.pickles import read_legacy, read_zip
from gesso.weights.safetensors_file import read_header, read_safetensors

Tensors = dict[str, Tensor]

READERS = {"safetensors": read_safetensors, "zip": read_zip, "pickle": read_legacy}


def read_tensors(path: Path) -> Tensors:
    """Read every tensor of a weights file, on the CPU and in the precision it was saved in.

    Of a training checkpoint only what is under ``state_dict`` is read. Tensors in nested containers get
    dotted names.

    Raises:
        FormatError: the file is missing, empty, cut off, corrupt, or not a weights file.
        UnsafePickleError: it is a pickle that wants more than tensors. None of it was run.
    """
    path = Path(path)
    tensors = READERS[weights_format(path)](path)
    if not tensors:
        raise FormatError("holds no tensors", where=str(path))
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """The notes in a safetensors file's header; empty for other formats."""
    if weights_format(path) != "safetensors":
        return {}
    metadata = read_header(path).get("__metadata__", {})
    return {str(key): str(value) for key, value in metadata.items()}
