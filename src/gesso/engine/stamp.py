"""How to notice that a tensor has changed since something was computed from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from weakref import ref

from torch import Tensor, UntypedStorage

Referent = TypeVar("Referent")


@dataclass(frozen=True, eq=False)
class Stamp:
    """Equal to another one if both are of the same tensor, which has not been written to in between.

    The tensor itself is part of it, and its storage: memory that one leaves is soon another one's. Unseen
    stay writes that PyTorch does not count: into ``tensor.data`` and ``tensor.numpy()``, and to tensors
    made in inference mode; `gesso.engine.engine.refresh` is for them.
    """

    tensor: ref[Tensor]
    storage: ref[UntypedStorage]
    address: int
    version: int

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stamp):
            return NotImplemented
        same = is_same(self.tensor, other.tensor) and is_same(self.storage, other.storage)
        return same and (self.address, self.version) == (other.address, other.version)


def stamp(tensor: Tensor) -> Stamp:
    """Which tensor it is, where its values are, and how often they were written."""
    version = 0 if tensor.is_inference() else tensor._version
    return Stamp(ref(tensor), ref(tensor.untyped_storage()), tensor.data_ptr(), version)


def is_same(one: ref[Referent], other: ref[Referent]) -> bool:
    """Whether two references are to one thing that still exists."""
    thing = one()
    return thing is not None and thing is other()
