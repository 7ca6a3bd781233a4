"""Scenes in words: what the built-in model learns to read, in many wordings."""

from __future__ import annotations

from random import Random

from gesso.storybook.scene import Ground, Kind, Relation, Scene, Sky, Thing

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
}

SKY_WORDS: dict[Sky, tuple[str, ...]] = {
    "day": (
        "by day",
        "on a sunny day",
        "in the daytime",
        "in the sunshine",
        "in daylight",
        "during the day",
    ),
    "sunset": ("at sunset", "at sunset", "at dusk", "in the evening", "as the sun goes down"),
    "night": ("at night", "at night", "at night", "under the stars", "by moonlight", "on a starry night"),
}

GROUND_WORDS: dict[Ground, tuple[str, ...]] = {
    "grass": ("on the grass", "on grass", "in a meadow", "in a grassy field", "on a grassy hill"),
    "snow": ("in the snow", "in the snow", "on snow", "in a snowy field", "in winter"),
    "sand": ("on the sand", "on sand", "on the beach", "in the desert", "on a sandy beach"),
    "water": ("on the water", "on water", "on the sea", "on a lake", "in the sea"),
}

RELATION_WORDS: dict[Relation, tuple[str, ...]] = {
    "beside": ("beside", "beside", "next to", "near", "by", "and", "with"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "above", "over", "flying over", "in the sky above"),
    "below": ("below", "under", "beneath"),
    "between": ("between",),
    "together": ("and", "and", "with"),
}

OPPOSITES: dict[Relation, Relation] = {
    "beside": "beside",
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}

OPENINGS = ("a picture of", "a painting of", "a drawing of")

EXAMPLE_PROMPTS = (
    "a red house beside a pine tree, at night",
    "a blue balloon above a yellow house in the snow at sunset",
    "a white boat on the sea, by day",
    "an orange rocket above a purple mountain, at night",
    "a pink castle on the grass on a sunny day",
    "a green car to the left of a red mushroom on the beach",
    "a yellow kite flying over a tree in a meadow",
    "a purple flower in the snow, at sunset",
    "a black car next to a white house, at night",
    "a brown house between a pine tree and an orange tree in the snow",
    "a red boat and a blue boat on the water at sunset",
    "at night, a yellow mushroom under a pink balloon",
    "a blue castle in the desert at dusk",
    "a white rocket ship on a starry night",
    "a mountain and a red car on a sandy beach by day",
    "a red flower, a yellow flower and a blue flower in a grassy field",
)


def caption(scene: Scene, rng: Random) -> str:
    """Word a scene, lower-case, differently each time.

    Every thing is named; now and then a colour, the sky or the ground is left out. Things may be told in
    either order ("a left of b" or "b right of a"). The same generator state gives the same caption.
    """
    things = _reworded_things(scene, rng)
    ground = rng.choice(GROUND_WORDS[scene.ground]) if rng.random() > 0.15 else ""
    sky = rng.choice(SKY_WORDS[scene.sky]) if rng.random() > 0.15 else ""
    if sky and rng.random() < 0.15:
        return _join(f"{sky},", things, ground)
    if rng.random() < 0.08:
        things = f"{rng.choice(OPENINGS)} {things}"
    comma = "," if rng.random() < 0.5 else ""
    if sky and ground and rng.random() < 0.2:
        return _join(things + comma, sky, ground)
    return _join(_join(things, ground) + (comma if sky else ""), sky)


def canonical_caption(scene: Scene) -> str:
    """Word a scene plainly and completely: every colour, the relation, the ground and the sky."""
    nouns = [_phrase(thing, thing.kind if thing.kind != "pine" else "pine tree") for thing in scene.things]
    things = _relate(nouns, scene.relation, RELATION_WORDS.get(scene.relation, ("",))[0])
    return f"{things} {GROUND_WORDS[scene.ground][0]}, {SKY_WORDS[scene.sky][0]}"


def _reworded_things(scene: Scene, rng: Random) -> str:
    phrases = [
        _phrase(thing, rng.choice(NOUNS[thing.kind]), named=rng.random() > 0.05) for thing in scene.things
    ]
    relation = scene.relation
    if len(phrases) == 2 and rng.random() < 0.3:
        phrases.reverse()
        relation = OPPOSITES[relation]
    elif relation == "together":
        rng.shuffle(phrases)
    return _relate(phrases, relation, rng.choice(RELATION_WORDS.get(relation, ("",))))


def _phrase(thing: Thing, noun: str, *, named: bool = True) -> str:
    """A thing with its article and, if it has one and it is to be named, its colour."""
    words = f"{thing.color} {noun}" if thing.color and named else noun
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _relate(phrases: list[str], relation: Relation, words: str) -> str:
    """Join the phrases of one to three things with the words of their relation."""
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        return f"{phrases[0]} {words} {phrases[1]}"
    first, second, third = phrases
    if relation == "together":
        return f"{first}, {second} {words} {third}"
    return f"{first} {words} {second} and {third}"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
