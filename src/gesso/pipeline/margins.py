"""How far a picture grows on each side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gesso.errors import RequestError
from gesso.pipeline.fields import check_side

SIDES = ("left", "top", "right", "bottom")
STEP = 8
MAX_MARGIN = 8192
EXAMPLE = "Write left=128,top=64."


@dataclass(frozen=True)
class Margins:
    """Pixels on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @classmethod
    def read(cls, value: object, where: str) -> Margins:
        """From margins, a mapping ({"left": 128}) or text ("left=128,top=64"), in multiples of 8.

        Raises:
            RequestError: a side is unknown, or its pixels are no multiple of 8, or all are 0.
        """
        if isinstance(value, str):
            value = _parse(value, where)
        if isinstance(value, Mapping):
            for side in value:
                if side not in SIDES:
                    raise RequestError(f"{side!r} is no side", f"Use {', '.join(SIDES)}.", where=where)
            value = cls(**value)
        if not isinstance(value, Margins):
            raise RequestError(f"{type(value).__name__} names no sides", EXAMPLE, where=where)
        if value == cls():
            raise RequestError("no side grows", EXAMPLE, where=where)
        return cls(**{side: _checked(pixels, side, where) for side, pixels in asdict(value).items()})

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    @property
    def width(self) -> int:
        return self.left + self.right

    @property
    def height(self) -> int:
        return self.top + self.bottom


def _checked(pixels: object, side: str, where: str) -> int:
    return 0 if pixels == 0 else check_side(pixels, f"{where} ({side})", STEP, MAX_MARGIN)


def _parse(text: str, where: str) -> dict[str, int]:
    pixels: dict[str, int] = {}
    for part in text.split(","):
        side, _, number = part.partition("=")
        if not number.strip().isdecimal() or len(number) > 9:
            raise RequestError(f"{part.strip()!r} is no side and its pixels", EXAMPLE, where=where)
        if side.strip() in pixels:
            raise RequestError(f"{side.strip()} is there twice", EXAMPLE, where=where)
        pixels[side.strip()] = int(number)
    return pixels
