"""The colours of the world, by day, at sunset and at night. RGB in 0…1."""

from __future__ import annotations

from gesso.storybook.scene import Color, Ground, Kind, Sky, Weather

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
    "grey": _rgb("8d92a0"),
}

SPECIAL_PAINTS: dict[tuple[Kind, Color], RGB] = {
    ("tree", "green"): _rgb("5aa83a"),
    ("pine", "green"): _rgb("1f7a48"),
    ("cat", "orange"): _rgb("f09a3e"),
    ("dog", "brown"): _rgb("9a6238"),
    ("duck", "yellow"): _rgb("fcd53f"),
}
"""Kinds whose natural colour is a shade of its own."""


def paint_of(kind: Kind, color: Color) -> RGB:
    """What a colour is on a kind of thing."""
    return SPECIAL_PAINTS.get((kind, color), PAINTS[color])


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

BEAK = _rgb("f29b30")
BLUSH = _rgb("f2a0a0")
INK = _rgb("2b2733")
SMOKE = _rgb("eef0f4")

# The light of each sky: a colour c appears as c · strength + glow.
LIGHTS: dict[Sky, tuple[RGB, RGB]] = {
    "day": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": ((0.97, 0.90, 0.84), (0.03, 0.01, 0.01)),
    "night": ((0.76, 0.78, 0.90), (0.0, 0.0, 0.03)),
}

# How much brighter a thing's side towards the sun or moon is than its middle, as shares; the other side is
# as much darker.
SIDE_LIGHTS: dict[Sky, RGB] = {
    "day": (0.13, 0.12, 0.08),
    "sunset": (0.20, 0.12, 0.02),
    "night": (0.10, 0.13, 0.20),
}

# Sky from top through the middle to the horizon.
SKY_COLORS: dict[Sky, tuple[RGB, RGB, RGB]] = {
    "day": (_rgb("5fb4f2"), _rgb("9ad4f8"), _rgb("e3f4fa")),
    "sunset": (_rgb("7a5bb0"), _rgb("ee7f86"), _rgb("ffc56e")),
    "night": (_rgb("10163f"), _rgb("1d2a66"), _rgb("3f5396")),
}

# The same under a closed cover of clouds.
OVERCAST: dict[Sky, tuple[RGB, RGB, RGB]] = {
    "day": (_rgb("93a5b8"), _rgb("b4c2cf"), _rgb("d5dde3")),
    "sunset": (_rgb("6f6088"), _rgb("a8798f"), _rgb("dba78c")),
    "night": (_rgb("1a1e36"), _rgb("2a304d"), _rgb("434b6b")),
}
CLOSED: dict[Weather, float] = {
    "clear": 0.0, "cloudy": 0.75, "rain": 1.0, "snowfall": 0.85, "rainbow": 0.25, "fog": 0.6
}  # fmt: skip
"""How far clouds close the sky."""

FOG: dict[Sky, RGB] = {"day": _rgb("eef2f4"), "sunset": _rgb("f2cfc0"), "night": _rgb("7d88ab")}
RAIN: dict[Sky, RGB] = {"day": _rgb("e9f2fa"), "sunset": _rgb("f3dfe4"), "night": _rgb("a9b9dd")}
FLAKE = _rgb("ffffff")
RAINBOW = (_rgb("e8504a"), _rgb("f5a03c"), _rgb("f7dc4a"), _rgb("5dbb5a"), _rgb("4b8fe0"), _rgb("8a5bc0"))

# Ground far off (the hills) and near.
GROUND_COLORS: dict[tuple[Ground, Sky], tuple[RGB, RGB]] = {
    ("grass", "day"): (_rgb("a9dc7e"), _rgb("79c254")),
    ("grass", "sunset"): (_rgb("b5a84e"), _rgb("80963c")),
    ("grass", "night"): (_rgb("2d6350"), _rgb("1f4d3c")),
    ("snow", "day"): (_rgb("d6e6f4"), _rgb("f2f8fd")),
    ("snow", "sunset"): (_rgb("dcb5c4"), _rgb("f3d9da")),
    ("snow", "night"): (_rgb("7f92c2"), _rgb("a0b1d9")),
    ("sand", "day"): (_rgb("f3dfa4"), _rgb("e9c878")),
    ("sand", "sunset"): (_rgb("e3a964"), _rgb("d4914c")),
    ("sand", "night"): (_rgb("a08c62"), _rgb("8a7248")),
    ("water", "day"): (_rgb("63bde0"), _rgb("2f8fca")),
    ("water", "sunset"): (_rgb("e39a7c"), _rgb("80609c")),
    ("water", "night"): (_rgb("2f56a0"), _rgb("193678")),
}

CLOUDS: dict[Sky, RGB] = {"day": _rgb("ffffff"), "sunset": _rgb("ffc4ae"), "night": _rgb("4a5a94")}
CLOUD_SHADES: dict[Sky, RGB] = {"day": _rgb("cfe0ee"), "sunset": _rgb("e0849a"), "night": _rgb("343f73")}
SUN = _rgb("ffe14a")
LOW_SUN = _rgb("fff0a8")
MOON = _rgb("fbf3cf")
STARS = _rgb("fff6d2")
PAPER = _rgb("fbf7ec")
GRAPHITE = _rgb("4a4750")
