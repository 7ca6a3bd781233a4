"""How to notice that a tensor has changed since something was computed from it."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import ref

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Stamp:
    """Equal to another one if both are of the same tensor, which has not been written to in between.

    The tensor itself is part of it: memory that one tensor leaves is soon another one's. Unseen stay writes
    that PyTorch does not count: through ``tensor.data``, and to tensors made in inference mode.
    """

    tensor: ref[Tensor]
    address: int
    version: int

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stamp):
            return NotImplemented
        tensor = self.tensor()
        same_tensor = tensor is not None and tensor is other.tensor()
        return same_tensor and (self.address, self.version) == (other.address, other.version)


def stamp(tensor: Tensor) -> Stamp:
    """Which tensor it is, where its values are, and how often they were written."""
    version = 0 if tensor.is_inference() else tensor._version
    return Stamp(ref(tensor), tensor.data_ptr(), version)
