"""The one restricted parse of pickled checkpoints: tensors come out, no code runs.

Two gates, one after the other. First the pickle's instructions are read without obeying them, and any
name that is not on the lists below is refused. Then ``torch.load(weights_only=True)`` builds the
tensors; names of training frameworks stand for an object that does nothing. There is no third way.
"""

from __future__ import annotations

import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gesso.errors import CheckpointError, FormatError, UnsafePickleError
from gesso.weights.formats import AGAIN
from gesso.weights.pickle_scan import scan_pickle

PICKLE_LIMIT = 256_000_000
"""Bytes of the pickle inside a zip file (a checkpoint's has about a million); guards against zip bombs."""

LEGACY_PICKLES = 5
"""How many pickles a file of torch < 1.6 begins with: magic number, protocol, system, object, keys."""

DEEPEST = 16
"""How far containers may nest around tensors."""


class Inert:
    """Stands for a training framework's object that was saved along with the weights. Does nothing."""

    def __new__(cls, *_: object) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class Parameters(dict[str, Tensor]):
    """Stands for torch's ``ParameterDict``, in which textual inversion saves; keeps the tensors alone."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.update(state["_parameters"])


def empty_dict(*_: object) -> dict[Any, Any]:
    """Stands for the constructor of a dictionary with a default."""
    return {}


TENSORS = frozenset(
    {
        "collections.OrderedDict",
        "_codecs.encode",
        "builtins.set",
        "torch.Size",
        "torch.Tensor",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.storage.UntypedStorage",
    }
    | {f"torch.{kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int")}
    | {f"torch.{kind}Storage" for kind in ("Short", "Char", "Byte", "Bool")}
    | {
        f"torch.{dtype}"
        for dtype in ("float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8")
    }
)
"""What torch.save writes for tensors and dictionaries of them; torch.load knows how to make these."""

TRAINING_STATE: Mapping[str, Callable[..., Any]] = {
    "numpy.dtype": Inert,
    "numpy.ndarray": Inert,
    "numpy.core.multiarray.scalar": Inert,
    "numpy._core.multiarray.scalar": Inert,
    "numpy.core.multiarray._reconstruct": Inert,
    "numpy._core.multiarray._reconstruct": Inert,
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping": Inert,
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint": Inert,
    "pytorch_lightning.utilities.parsing.AttributeDict": OrderedDict,
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint": Inert,
    "lightning_fabric.utilities.data.AttributeDict": OrderedDict,
    "lightning.fabric.utilities.data.AttributeDict": OrderedDict,
    "omegaconf.base.ContainerMetadata": Inert,
    "omegaconf.base.Metadata": Inert,
    "omegaconf.dictconfig.DictConfig": Inert,
    "omegaconf.listconfig.ListConfig": Inert,
    "omegaconf.nodes.AnyNode": Inert,
    "torch.nn.modules.container.ParameterDict": Parameters,
    "argparse.Namespace": Inert,
    "pathlib.Path": Inert,
    "pathlib.PosixPath": Inert,
    "pathlib.WindowsPath": Inert,
    "typing.Any": Inert,
    "builtins.bool": Inert,
    "builtins.dict": Inert,
    "builtins.float": Inert,
    "builtins.int": Inert,
    "builtins.list": Inert,
    "builtins.str": Inert,
    "collections.defaultdict": empty_dict,
}
"""What full training checkpoints carry besides, and what stands for it; none of it is imported."""

loading = threading.Lock()
"""The names a torch.load accepts are global to the process."""


def read_zip(path: Path) -> dict[str, Tensor]:
    """Read what torch.save writes since torch 1.6; tensors are memory-mapped where the file allows it."""
    mappable = check_zip(path)
    if path.suffix == ".safetensors":  # torch.load goes by this suffix when it is given a path
        with path.open("rb") as file:
            return load(path, file, mmap=False)
    return load(path, str(path), mmap=mappable)


def read_legacy(path: Path) -> dict[str, Tensor]:
    """Read what torch.save wrote before torch 1.6."""
    with path.open("rb") as file:
        for _ in range(LEGACY_PICKLES):
            check_names(path, file)
        file.seek(0)
        return load(path, file, mmap=False)


def check_zip(path: Path) -> bool:
    """Refuse a zip file that is not a harmless torch.save; tell whether its tensors can be mapped."""
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [info.filename.partition("/")[2] for info in entries]
            if "constants.pkl" in names:
                raise UnsafePickleError(
                    "is a TorchScript program, which is code", "Use plain weights.", where=where
                )
            if "data.pkl" not in names:
                raise FormatError("is a zip archive, not a weights file", "Unpack it first.", where=where)
            for pickled in (info for info, name in zip(entries, names, strict=True) if name == "data.pkl"):
                if pickled.file_size > PICKLE_LIMIT:
                    raise FormatError("holds a pickle too large to be that of a model", where=where)
                with archive.open(pickled) as file:
                    check_names(path, file)
            return all(info.compress_type == zipfile.ZIP_STORED for info in entries)
    except CheckpointError:
        raise
    except Exception as error:
        raise FormatError(f"is cut off or corrupt ({error})", AGAIN, where=where) from error


def check_names(path: Path, file: Any) -> None:
    """Refuse the next pickle in ``file`` if it names anything that is not on the lists."""
    try:
        names, protocol = scan_pickle(file)
    except ValueError as error:
        raise FormatError(
            f"is cut off, corrupt, or a pickle that torch.save did not write ({error})",
            AGAIN,
            where=str(path),
        ) from error
    for name in names:
        name = name.replace("__builtin__.", "builtins.")  # its name in Python 2, which protocol 2 keeps
        if name not in TENSORS and name not in TRAINING_STATE:
            raise UnsafePickleError(
                f"wants to use {name}, which weights do not need; nothing of it was run",
                "Use a .safetensors file of this model.",
                where=str(path),
            )
    if protocol > 2:
        raise FormatError(
            f"is a pickle of protocol {protocol}; torch.save writes protocol 2",
            "Use a .safetensors file of this model.",
            where=str(path),
        )


def load(path: Path, source: str | BinaryIO, *, mmap: bool) -> dict[str, Tensor]:
    harmless: list[Any] = [(stand_in, name) for name, stand_in in TRAINING_STATE.items()]
    try:
        with loading, torch.serialization.safe_globals(harmless):
            value = torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
        return tensors_in(value)
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise FormatError(f"is cut off or corrupt ({reason[-1]})", AGAIN, where=str(path)) from error


def tensors_in(value: object) -> dict[str, Tensor]:
    """The tensors of a loaded object; those of a training checkpoint are under ``state_dict``."""
    while isinstance(value, Mapping) and isinstance(value.get("state_dict"), Mapping):
        value = value["state_dict"]
    found: dict[str, Tensor] = {}
    collect(value, "", DEEPEST, found)
    return found


def collect(value: object, name: str, depth: int, found: dict[str, Tensor]) -> None:
    """Gather tensors under dotted names: ``{"a": {"b": t}}`` gives ``a.b``."""
    if isinstance(value, Tensor):
        found[name] = value.detach()
    elif depth and isinstance(value, Mapping):
        for key, item in value.items():
            collect(item, f"{name}.{key}" if name else str(key), depth - 1, found)
    elif depth and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            collect(item, f"{name}.{index}" if name else str(index), depth - 1, found)
