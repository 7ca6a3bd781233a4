"""The English words of the world: what each thing, place, time and style may be called.

Of each list the first is the plainest; those that are said often stand in it more than once.
"""

from __future__ import annotations

from gesso.storybook.scene import Color, Ground, Kind, Relation, Scale, Sky, Style, Weather

NOUNS: dict[Kind, tuple[str, ...]] = {
    "mountain": ("mountain",),
    "castle": ("castle",),
    "house": ("house", "house", "house", "cottage"),
    "tree": ("tree",),
    "pine": ("pine tree", "pine tree", "pine", "fir tree", "fir"),
    "mushroom": ("mushroom", "mushroom", "toadstool"),
    "flower": ("flower",),
    "car": ("car",),
    "boat": ("boat", "boat", "sailboat", "ship"),
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

VERBS: dict[Kind, tuple[str, ...]] = {
    "tree": ("stand", "grow"),
    "pine": ("stand", "grow"),
    "mushroom": ("stand", "grow"),
    "flower": ("stand", "grow", "bloom"),
    "car": ("stand", "wait", "drive"),
    "train": ("stand", "wait", "run", "pass"),
    "boat": ("float", "lie", "sail", "drift"),
    "balloon": ("fly", "float", "hover", "drift"),
    "kite": ("fly", "float", "hover"),
    "rocket": ("fly", "hover", "soar"),
    "bird": ("fly", "hover", "soar"),
    "butterfly": ("fly", "hover", "flutter"),
    "cat": ("sit", "stand", "wait", "rest"),
    "dog": ("sit", "stand", "wait", "run", "play"),
    "duck": ("swim", "float", "sit", "rest"),
}
"""What things are said to do besides being there, which changes nothing; others stand, or lie."""

SPELLINGS: dict[str, tuple[str, str]] = {
    "fly": ("flies", "flying"),
    "sit": ("sits", "sitting"),
    "run": ("runs", "running"),
    "swim": ("swims", "swimming"),
    "lie": ("lies", "lying"),
    "pass": ("passes", "passing"),
    "drive": ("drives", "driving"),
}
"""What one thing does, and what it is doing, where that is not -s and -ing."""

NUMBERS = {
    1: ("one", "one", "a single"),
    2: ("two", "two", "two", "a pair of", "a couple of", "2"),
    3: ("three", "three", "three", "3"),
    4: ("four", "four", "4"),
    5: ("five", "five", "5"),
}

SCALE_WORDS: dict[Scale, tuple[str, ...]] = {
    "small": ("small", "small", "little", "tiny"),
    "big": ("big", "big", "large", "huge"),
}

COLOR_WORDS: dict[Color, tuple[str, ...]] = {
    "grey": ("grey", "gray"),
    "purple": ("purple", "purple", "purple", "violet"),
}

FILLERS = (
    "beautiful", "pretty", "lovely", "cute", "nice", "old", "happy", "funny", "friendly", "lonely",
    "magical",
    "shiny", "wonderful", "quiet", "cosy", "sweet", "young", "bright", "simple",
    "sleepy", "new",
)  # fmt: skip
"""Adjectives of which nothing can be seen."""

SKY_WORDS: dict[Sky, tuple[str, ...]] = {
    "day": (
        "by day", "in the daytime", "in daylight", "during the day", "at noon", "in the morning",
        "in the afternoon", "at midday", "in broad daylight",
    ),
    "sunset": (
        "at sunset", "at sunset", "at dusk", "in the evening", "as the sun goes down", "at sundown",
        "at twilight", "while the sun sets", "during sunset",
    ),
    "night": (
        "at night", "at night", "at night", "in the moonlight", "by moonlight", "in the dark",
        "at midnight",
        "during the night", "late at night", "by night",
    ),
}  # fmt: skip
CLEAR_SKY_WORDS: dict[Sky, tuple[str, ...]] = {
    "day": ("on a sunny day", "in the sunshine", "on a clear day", "under a blue sky", "in the sun"),
    "sunset": ("on a clear evening",),
    "night": (
        "under the stars", "on a starry night", "on a clear night", "under a starry sky",
        "under the moon",
    ),
}  # fmt: skip
"""What tells the time of day and clear weather at once."""

SKY_CLAUSES: dict[Sky, tuple[str, ...]] = {
    "day": ("it is day", "it is daytime", "it is noon"),
    "sunset": ("it is evening", "the sun is setting", "the sun is going down", "it is sunset"),
    "night": ("it is night", "it is night", "the moon is shining", "it is dark"),
}
SKY_TAGS: dict[Sky, tuple[str, ...]] = {
    "day": ("day", "daytime", "daylight"),
    "sunset": ("sunset", "dusk", "evening"),
    "night": ("night", "nighttime", "moonlight"),
}
TIMES: dict[Sky, tuple[str, ...]] = {
    "day": ("day", "day", "morning", "afternoon"), "sunset": ("evening",), "night": ("night",)
}  # fmt: skip
"""What the weather can be of: "a rainy night"."""

GROUND_WORDS: dict[Ground, tuple[str, ...]] = {
    "grass": (
        "on the grass", "on grass", "in a meadow", "in a grassy field", "on a grassy hill",
        "in the grass",
        "on green grass", "on a green meadow", "in a field", "on a lawn", "on a hill", "in the meadow",
    ),
    "snow": (
        "in the snow", "in the snow", "on snow", "in a snowy field", "in winter", "on the snow",
        "in deep snow", "on snowy ground", "in a snowy landscape", "on a snowy field",
    ),
    "sand": (
        "on the sand", "on sand", "on the beach", "in the desert", "on a sandy beach", "on a beach",
        "in the sand", "at the beach", "in a desert", "on the shore",
    ),
    "water": (
        "on the water", "on water", "on the sea", "on a lake", "in the sea", "in the water",
        "on the lake",
        "on calm water", "by the sea", "on the ocean", "at sea", "on a river",
    ),
}  # fmt: skip
GROUND_TAGS: dict[Ground, tuple[str, ...]] = {
    "grass": ("grass", "meadow", "grass field"),
    "snow": ("snow", "winter", "snowy field"),
    "sand": ("beach", "sand", "desert"),
    "water": ("water", "sea", "lake", "ocean"),
}

WEATHER_WORDS: dict[Weather, tuple[str, ...]] = {
    "clear": ("under a clear sky", "in clear weather", "in fine weather"),
    "cloudy": (
        "under a cloudy sky", "in cloudy weather", "under clouds", "under a sky full of clouds",
        "in a cloudy sky", "under dark clouds", "with clouds in the sky", "under an overcast sky",
    ),
    "rain": (
        "in the rain", "in the rain", "in rainy weather", "while it rains", "in heavy rain",
        "in pouring rain", "with rain falling", "as it rains",
    ),
    "snowfall": (
        "in falling snow", "while it snows", "during a snowfall", "as snow falls", "with snow falling",
        "while snow is falling", "in a snowstorm",
    ),
    "rainbow": (
        "under a rainbow", "with a rainbow", "with a rainbow in the sky", "below a rainbow",
        "and a rainbow", "beneath a rainbow", "under a big rainbow",
    ),
    "fog": (
        "in the fog", "in thick fog", "in the mist", "in foggy weather", "in fog", "in dense fog",
        "in the thick mist",
    ),
}  # fmt: skip
WEATHER_CLAUSES: dict[Weather, tuple[str, ...]] = {
    "clear": ("the sky is clear",),
    "cloudy": ("it is cloudy", "the sky is cloudy", "the sky is full of clouds"),
    "rain": ("it is raining", "rain is falling", "it rains"),
    "snowfall": ("it is snowing", "snow is falling", "it snows"),
    "rainbow": ("there is a rainbow", "there is a rainbow in the sky"),
    "fog": ("it is foggy", "there is fog", "it is misty"),
}
WEATHER_TAGS: dict[Weather, tuple[str, ...]] = {
    "clear": ("clear sky",),
    "cloudy": ("clouds", "cloudy", "cloudy sky"),
    "rain": ("rain", "rainy"),
    "snowfall": ("falling snow", "snowfall", "snowing"),
    "rainbow": ("rainbow",),
    "fog": ("fog", "foggy", "mist"),
}
WEATHER_ADJECTIVES: dict[Weather, tuple[str, ...]] = {
    "clear": (),
    "cloudy": ("cloudy", "overcast"),
    "rain": ("rainy",),
    "snowfall": ("snowy",),
    "rainbow": (),
    "fog": ("foggy", "misty"),
}
"""Of a day, an evening or a night; what tells clear weather so is in ``CLEAR_SKY_WORDS``."""

OPENINGS = (
    "a drawing of", "an illustration of", "a painting of", "an image of", "a photo of", "a scene with",
    "draw", "please draw", "draw me", "please draw me", "please paint", "paint", "show me", "i want",
    "i see",
    "i would like to see", "i want to see", "can you draw", "imagine", "here is", "we see",
    "create an image of",
)  # fmt: skip
"""What people put before what they want."""

ENDINGS = (
    "for children", "highly detailed", "masterpiece", "best quality", "digital art", "cartoon",
    "please",
    "very pretty", "a children's book illustration", "4k",
)  # fmt: skip
"""What people put behind it."""

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
    "beside": (
        "beside", "beside", "next to", "near", "by", "and", "with", "close to", "alongside",
        "at the side of",
    ),
    "left of": ("left of", "to the left of", "on the left of", "on the left side of"),
    "right of": ("right of", "to the right of", "on the right of", "on the right side of"),
    "above": ("above", "above", "over", "flying over", "in the sky above", "high above"),
    "below": ("below", "under", "beneath", "underneath"),
    "in front of": ("in front of", "in front of", "before"),
    "behind": ("behind", "behind", "in back of"),
    "between": ("between", "in between"),
    "together": ("and", "and", "with"),
}  # fmt: skip
JOINING = ("and", "with", "flying over", "in the sky above")
"""Those of them that cannot stand before "it"."""

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


def spelled(verb: str, count: int) -> tuple[str, str]:
    """A verb as it is said of so many things ("flies", "fly"), and of what is doing it ("flying")."""
    one, doing = SPELLINGS.get(verb, (f"{verb}s", f"{verb}ing"))
    return (one if count == 1 else verb), doing
