"""The colours of the world, by day, at sunset and at night. RGB in 0…1."""

from __future__ import annotations

from gesso.storybook.scene import Color, Ground, Kind, Sky

RGB = tuple[float, float, float]


def _rgb(code: str) -> RGB:
    red, green, blue = bytes.fromhex(code)
    return red / 255, green / 255, blue / 255


PAINTS: dict[Color, RGB] = {
    "red": _rgb("dc2b2f"),
    "orange": _rgb("f78a1d"),
    "yellow": _rgb("fbd927"),
    "green": _rgb("2fa84b"),
    "blue": _rgb("2b6fe0"),
    "purple": _rgb("8438b8"),
    "pink": _rgb("f885b8"),
    "brown": _rgb("8a5730"),
    "white": _rgb("f8f8f4"),
    "black": _rgb("26242c"),
}

NATURAL_PAINTS: dict[Kind, RGB] = {
    "tree": _rgb("5aa83a"),
    "pine": _rgb("1f6b45"),
    "mountain": _rgb("8288a0"),
}

WOOD = _rgb("7b4a2b")
BRICK = _rgb("a8523f")
CREAM = _rgb("f6ead0")
LEAF = _rgb("3c9a44")
GOLD = _rgb("f7c431")
RUBBER = _rgb("2e2d38")
STEEL = _rgb("c9ced8")
GLASS = _rgb("bfe6f7")
FLAME = _rgb("ff9427")
SPARK = _rgb("ffe36b")
SNOW = _rgb("f6fafd")
SHADE = _rgb("1c1a36")
SAND = _rgb("ecd394")
LAMP = _rgb("ffdf73")

# The light of each sky: a colour c appears as c · strength + glow.
LIGHTS: dict[Sky, tuple[RGB, RGB]] = {
    "day": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": ((0.96, 0.92, 0.88), (0.03, 0.01, 0.0)),
    "night": ((0.86, 0.85, 0.90), (0.0, 0.0, 0.02)),
}

# Sky from top through the middle to the horizon.
SKY_COLORS: dict[Sky, tuple[RGB, RGB, RGB]] = {
    "day": (_rgb("5fb4f2"), _rgb("9ad4f8"), _rgb("dff3fb")),
    "sunset": (_rgb("7a5bb0"), _rgb("ee7f86"), _rgb("ffc56e")),
    "night": (_rgb("10163f"), _rgb("1d2a66"), _rgb("3f5396")),
}

# Ground far off (the hills) and near.
GROUND_COLORS: dict[tuple[Ground, Sky], tuple[RGB, RGB]] = {
    ("grass", "day"): (_rgb("a5d97a"), _rgb("74bf4f")),
    ("grass", "sunset"): (_rgb("b5a84e"), _rgb("80963c")),
    ("grass", "night"): (_rgb("2d6350"), _rgb("1f4d3c")),
    ("snow", "day"): (_rgb("dbe9f5"), _rgb("f4f9fd")),
    ("snow", "sunset"): (_rgb("dcb5c4"), _rgb("f5dcdc")),
    ("snow", "night"): (_rgb("8295c4"), _rgb("a3b4db")),
    ("sand", "day"): (_rgb("f3dfa4"), _rgb("e9c878")),
    ("sand", "sunset"): (_rgb("e3a964"), _rgb("d4914c")),
    ("sand", "night"): (_rgb("a08c62"), _rgb("8a7248")),
    ("water", "day"): (_rgb("5cb8dd"), _rgb("2c8cc9")),
    ("water", "sunset"): (_rgb("e39a7c"), _rgb("80609c")),
    ("water", "night"): (_rgb("2f56a0"), _rgb("193678")),
}

CLOUDS: dict[Sky, RGB] = {"day": _rgb("ffffff"), "sunset": _rgb("ffc0ae"), "night": _rgb("2b3a78")}
SUN = _rgb("ffe14a")
LOW_SUN = _rgb("fff0a8")
MOON = _rgb("fbf3cf")
STARS = _rgb("fff6d2")
