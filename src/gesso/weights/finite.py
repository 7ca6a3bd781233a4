"""The search for NaN and infinities among weights, beside whatever else there is to do.

Reading gigabytes takes as long as everything else about loading, so a thread of its own does it; the one
who first uses the weights waits for what it finds. Nothing is drawn with weights that were not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock, Thread, main_thread

import numpy as np
import torch
from torch import Tensor

from gesso.errors import KeysError
from gesso.weights.pages import release

EXPONENTS = {
    torch.float64: 0x7FF << 52,
    torch.float32: 0xFF << 23,
    torch.bfloat16: 0xFF << 7,
    torch.float16: 0x1F << 10,
}
"""The bits of +∞, all of the exponent (IEEE 754-2019, §3.4): larger ones are NaN, smaller ones numbers."""

INTEGERS = {2: (np.int16, np.uint16), 4: (np.int32, np.uint32), 8: (np.int64, np.uint64)}
AT_ONCE = 1 << 20
"""Bytes that are read once from memory, and a second time from the processor's cache."""


class FiniteCheck:
    """Looks through weights in the background, until the program ends: then nobody will use them.

    Args:
        tensors: by the names they have in messages. One that is written to before it was seen is not
            what the file holds any more, and its values are the writer's matter.
        path: the file or folder they are from.
    """

    def __init__(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        self.tensors = {name: (tensor, writes(tensor)) for name, tensor in tensors.items()}
        self.path = path
        self.name: str | None = None
        self.failure: Exception | None = None
        self.lock = Lock()
        self.thread = Thread(target=self._look, name="gesso weights check")
        self.thread.start()

    def _look(self) -> None:
        try:
            for name, (tensor, before) in self.tensors.items():
                if not main_thread().is_alive():
                    raise RuntimeError("the program ended before all weights were looked at")
                if not is_finite(tensor) and writes(tensor) == before:
                    self.name = name
                    break
        except Exception as failure:  # noqa: BLE001 (told to the one who waits)
            self.failure = failure

    def wait(self) -> None:
        """Return when all has been seen and is sound; after the first time, at once.

        Memory that looking took is given back: what is used comes back from the file by itself.

        Raises:
            KeysError: a value is NaN or infinite; the message names its tensor.
        """
        self.thread.join()
        if self.failure:
            raise self.failure
        if self.name is not None:
            raise not_finite(self.name, self.path)
        with self.lock:
            release(tensor for tensor, _ in self.tensors.values())
            self.tensors.clear()


def check_one_by_one(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Look through weights now, and give each one's memory back before the next is read.

    Raises:
        KeysError: a value is NaN or infinite; the message names its tensor.
    """
    for name, tensor in tensors.items():
        if not is_finite(tensor):
            raise not_finite(name, path)
        release([tensor])


def not_finite(name: str, path: Path) -> KeysError:
    return KeysError(
        f"tensor {name} has values that are NaN or infinite",
        "Its training or its conversion has failed; get another version of this model.",
        where=str(path),
    )


def writes(tensor: Tensor) -> int:
    """How often PyTorch has written to a tensor."""
    return 0 if tensor.is_inference() else tensor._version


def is_finite(tensor: Tensor) -> bool:
    """Whether no value of a floating-point tensor is NaN or infinite.

    On the CPU the bits are compared as integers, which is as fast as memory is. With the sign bit first,
    what is not finite is largest: among positive numbers if the integers are signed, and among all of
    them, behind the negative numbers, if they are not.
    """
    if tensor.device.type != "cpu" or tensor.dtype not in EXPONENTS:
        return bool(torch.isfinite(tensor.float() if tensor.itemsize == 1 else tensor).all())
    signed, unsigned = INTEGERS[tensor.itemsize]
    infinity = EXPONENTS[tensor.dtype]
    negative_infinity = infinity | 1 << (8 * tensor.itemsize - 1)
    bits = tensor.detach().reshape(-1).view(torch.uint8).numpy()
    return all(
        part.view(signed).max() < infinity and part.view(unsigned).max() < negative_infinity
        for part in np.split(bits, range(AT_ONCE, bits.size, AT_ONCE))
        if part.size
    )
