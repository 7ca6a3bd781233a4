"""How numbers are written in the report and the figure."""

from __future__ import annotations

from dataclasses import dataclass

from gesso.anatomy.arithmetic import Macs
from gesso.anatomy.shapes import Shape


def size(shape: Shape) -> str:
    """``320×64×64``: channels, height, width."""
    return "×".join(str(length) for length in shape)


@dataclass(frozen=True)
class MacUnit:
    """What multiply–accumulates are counted in."""

    name: str
    scale: int

    def format(self, macs: Macs) -> str:
        return f"{macs.total / self.scale:.2f}"


TMAC, GMAC, MMAC = MacUnit("TMAC", 10**12), MacUnit("GMAC", 10**9), MacUnit("MMAC", 10**6)


def mac_unit(macs: Macs) -> MacUnit:
    """The unit in which a network's arithmetic is best read."""
    return TMAC if macs.total >= 10 * TMAC.scale else GMAC if macs.total >= GMAC.scale else MMAC


def count(number: int) -> str:
    """``2.26 M``, ``11.8 k``: a number of parameters, to three digits."""
    return scaled(number, (("G", 10**9), ("M", 10**6), ("k", 10**3)), smallest="")


def memory(bytes_: int) -> str:
    """``3.44 GB``, ``492 MB``: decimal units, to three digits."""
    return scaled(bytes_, (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)), smallest="B")


def scaled(number: int, units: tuple[tuple[str, int], ...], *, smallest: str) -> str:
    for unit, scale in units:
        value = number / scale
        if value >= 0.9995:
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f} {unit}"
    return f"{number} {smallest}".rstrip()


def share(part: int, whole: int) -> str:
    """``12.3%``."""
    return f"{100 * part / whole:.1f}%"
