"""Invertible tables of renamed modules: the same tensors under a published layout's names and under ours.

A pair of names covers the module and all below it: ("out.0", "conv_norm_out") renames ``out.0.weight``
to ``conv_norm_out.weight`` and back. No name in a column begins with another of that column, so
renaming loses nothing either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Rename:
    """One module's two names.

    Attributes:
        theirs: its name in the published layout.
        ours: its name in gesso's (which are Diffusers') state dicts.
        pointwise: theirs is a 1×1 convolution, weight (c, d, 1, 1); ours the same matrix (c, d).
    """

    theirs: str
    ours: str
    pointwise: bool = False

    def below(self, theirs: str, ours: str) -> Rename:
        """The same pair inside of enclosing modules."""
        return Rename(f"{theirs}.{self.theirs}", f"{ours}.{self.ours}", self.pointwise)


class KeyMap:
    """A rename table, read in both directions."""

    def __init__(self, renames: Iterable[Rename]) -> None:
        renames = tuple(renames)
        self._by_theirs = {rename.theirs: rename for rename in renames}
        self._by_ours = {rename.ours: rename for rename in renames}
        for names in (self._by_theirs, self._by_ours):
            if len(names) != len(renames):
                raise ValueError("a name occurs twice in a rename table")
            for name in names:
                if any(parent in names for parent in parents(name)):
                    raise ValueError(f"{name!r} is inside of another name of the rename table")

    @classmethod
    def join(cls, *maps: KeyMap) -> Self:
        return cls(rename for table in maps for rename in table._by_ours.values())

    def our_name(self, key: str) -> str | None:
        """The name gesso has for a tensor of the published layout; None if the table lacks it."""
        rename = find(self._by_theirs, key)
        return rename and rename.ours + key[len(rename.theirs) :]

    def their_name(self, key: str) -> str | None:
        """The name the published layout has for a tensor of ours; None if the table lacks it."""
        rename = find(self._by_ours, key)
        return rename and rename.theirs + key[len(rename.ours) :]

    def to_ours(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Rename tensors of the published layout; also returns the names the table lacks."""
        ours: dict[str, Tensor] = {}
        unknown: list[str] = []
        for key, tensor in tensors.items():
            rename = find(self._by_theirs, key)
            if rename is None:
                unknown.append(key)
                continue
            if rename.pointwise and tensor.ndim > 2 and tensor.shape[2:].numel() == 1:
                tensor = tensor.flatten(1)
            ours[rename.ours + key[len(rename.theirs) :]] = tensor
        return ours, unknown

    def to_theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename our tensors to the published layout. KeyError if the table lacks one."""
        theirs: dict[str, Tensor] = {}
        for key, tensor in tensors.items():
            rename = find(self._by_ours, key)
            if rename is None:
                raise KeyError(key)
            if rename.pointwise and tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
            theirs[rename.theirs + key[len(rename.ours) :]] = tensor
        return theirs


def find(table: Mapping[str, Rename], key: str) -> Rename | None:
    """The entry that names ``key`` or a module it is in."""
    if key in table:
        return table[key]
    return next((table[parent] for parent in parents(key) if parent in table), None)


def parents(name: str) -> Iterable[str]:
    """``a.b.c`` -> ``a.b``, ``a``."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
