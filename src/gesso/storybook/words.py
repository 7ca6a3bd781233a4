"""The English words of the world: what each thing, place, time and style may be called."""

from __future__ import annotations

from gesso.storybook.scene import Ground, Kind, Relation, Scale, Sky, Style, Weather

NOUNS: dict[Kind, tuple[str, ...]] = {
    "mountain": ("mountain",),
    "castle": ("castle",),
    "house": ("house", "house", "house", "cottage"),
    "tree": ("tree",),
    "pine": ("pine tree", "pine tree", "pine", "fir tree"),
    "mushroom": ("mushroom", "mushroom", "toadstool"),
    "flower": ("flower",),
    "car": ("car",),
    "boat": ("boat", "boat", "sailboat"),
    "balloon": ("balloon", "balloon", "hot air balloon"),
    "kite": ("kite",),
    "rocket": ("rocket", "rocket", "rocket ship"),
    "lighthouse": ("lighthouse",),
    "windmill": ("windmill",),
    "train": ("train", "train", "steam train", "locomotive"),
    "cat": ("cat", "cat", "cat", "kitten"),
    "dog": ("dog", "dog", "dog", "puppy"),
    "duck": ("duck",),
    "bird": ("bird",),
    "butterfly": ("butterfly",),
}
PLURALS = {"butterfly": "butterflies", "puppy": "puppies"}

NUMBERS = {2: ("two", "two", "two", "a pair of"), 3: ("three",), 4: ("four",), 5: ("five",)}

SCALE_WORDS: dict[Scale, tuple[str, ...]] = {
    "small": ("small", "small", "little", "tiny"),
    "big": ("big", "big", "large", "huge"),
}

SKY_WORDS: dict[Sky, tuple[str, ...]] = {
    "day": ("by day", "in the daytime", "in daylight", "during the day", "at noon"),
    "sunset": ("at sunset", "at sunset", "at dusk", "in the evening", "as the sun goes down"),
    "night": ("at night", "at night", "at night", "in the moonlight", "by moonlight"),
}
CLEAR_SKY_WORDS: dict[Sky, tuple[str, ...]] = {
    "day": ("on a sunny day", "in the sunshine", "on a clear day"),
    "sunset": ("on a clear evening",),
    "night": ("under the stars", "on a starry night", "on a clear night"),
}
"""What tells the time of day and clear weather at once."""

GROUND_WORDS: dict[Ground, tuple[str, ...]] = {
    "grass": ("on the grass", "on grass", "in a meadow", "in a grassy field", "on a grassy hill"),
    "snow": ("in the snow", "in the snow", "on snow", "in a snowy field", "in winter"),
    "sand": ("on the sand", "on sand", "on the beach", "in the desert", "on a sandy beach"),
    "water": ("on the water", "on water", "on the sea", "on a lake", "in the sea"),
}

WEATHER_WORDS: dict[Weather, tuple[str, ...]] = {
    "clear": ("under a clear sky", "in clear weather"),
    "cloudy": ("under a cloudy sky", "in cloudy weather", "under clouds", "under a sky full of clouds"),
    "rain": ("in the rain", "in the rain", "in rainy weather", "while it rains", "on a rainy day"),
    "snowfall": ("in falling snow", "while it snows", "during a snowfall", "as snow falls"),
    "rainbow": ("under a rainbow", "with a rainbow", "with a rainbow in the sky", "below a rainbow"),
    "fog": ("in the fog", "in thick fog", "in the mist", "in foggy weather"),
}

STYLE_OPENINGS: dict[Style, tuple[str, ...]] = {
    "picture book": ("a picture of", "a picture book page with", "a storybook picture of"),
    "flat": ("a flat picture of", "a flat illustration of", "a flat drawing of"),
    "watercolour": ("a watercolour of", "a watercolour painting of", "a watercolor painting of"),
    "pencil": ("a pencil drawing of", "a coloured pencil drawing of", "a pencil sketch of"),
    "pixel art": ("pixel art of", "a pixel art picture of", "8-bit pixel art of"),
}
STYLE_ENDINGS: dict[Style, tuple[str, ...]] = {
    "picture book": ("picture book style", "like in a picture book"),
    "flat": ("flat style", "in a flat style", "flat design"),
    "watercolour": ("watercolour", "in watercolour", "as a watercolour", "watercolor"),
    "pencil": ("pencil", "drawn in pencil", "as a pencil drawing", "pencil style"),
    "pixel art": ("pixel art", "as pixel art", "in pixel art style"),
}

RELATION_WORDS: dict[Relation, tuple[str, ...]] = {
    "alone": (),
    "beside": ("beside", "beside", "next to", "near", "by", "and", "with"),
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "above", "over", "flying over", "in the sky above"),
    "below": ("below", "under", "beneath"),
    "in front of": ("in front of", "in front of", "before"),
    "behind": ("behind",),
    "between": ("between", "in between"),
    "together": ("and", "and", "with"),
}

OPPOSITES: dict[Relation, Relation] = {
    "beside": "beside",
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
    "in front of": "behind",
    "behind": "in front of",
}


def plural(noun: str) -> str:
    """Of a noun of one or more words: the last one changes."""
    *before, last = noun.split()
    return " ".join([*before, PLURALS.get(last, f"{last}s")])


def article(words: str) -> str:
    """The words after "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
