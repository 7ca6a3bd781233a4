"""Scenes in Chinese."""

from __future__ import annotations

from random import Random

from gesso.storybook.scene import (
    USUAL_COLORS,
    Color,
    Ground,
    Group,
    Kind,
    Relation,
    Scale,
    Scene,
    Sky,
    Style,
    Weather,
)
from gesso.storybook.words import OPPOSITES

NOUNS: dict[Kind, tuple[str, ...]] = {
    "mountain": ("座山",),
    "castle": ("座城堡",),
    "house": ("座房子", "间房子", "座小屋"),
    "tree": ("棵树",),
    "pine": ("棵松树",),
    "mushroom": ("个蘑菇", "朵蘑菇"),
    "flower": ("朵花",),
    "car": ("辆汽车", "辆车"),
    "boat": ("艘帆船", "条船"),
    "balloon": ("个热气球", "个气球"),
    "kite": ("只风筝",),
    "rocket": ("枚火箭", "个火箭"),
    "lighthouse": ("座灯塔",),
    "windmill": ("座风车",),
    "train": ("列火车", "辆火车"),
    "cat": ("只猫", "只猫咪"),
    "dog": ("只狗", "条狗"),
    "duck": ("只鸭子",),
    "bird": ("只鸟",),
    "butterfly": ("只蝴蝶",),
}
"""Each noun behind its measure word, which is one character."""

COLORS: dict[Color, tuple[str, ...]] = {
    "red": ("红色",), "orange": ("橙色", "橘色"), "yellow": ("黄色",), "green": ("绿色",),
    "blue": ("蓝色",), "purple": ("紫色",), "pink": ("粉色", "粉红色"), "brown": ("棕色", "褐色"),
    "white": ("白色",), "black": ("黑色",), "grey": ("灰色",),
}  # fmt: skip
NUMBERS = {1: "一", 2: "两", 3: "三", 4: "四", 5: "五"}
SCALES: dict[Scale, str] = {"small": "小", "big": "大"}

SKIES: dict[Sky, tuple[str, ...]] = {
    "day": ("白天", "阳光下"),
    "sunset": ("日落时", "黄昏", "傍晚"),
    "night": ("夜晚", "晚上", "夜里", "月光下"),
}
GROUNDS: dict[Ground, tuple[str, ...]] = {
    "grass": ("草地上", "草原上"),
    "snow": ("雪地上", "雪地里"),
    "sand": ("沙滩上", "沙漠里"),
    "water": ("水面上", "海上", "湖面上"),
}
WEATHERS: dict[Weather, tuple[str, ...]] = {
    "clear": ("晴朗", "天气晴朗"),
    "cloudy": ("多云", "阴天"),
    "rain": ("下雨", "雨中", "下着雨"),
    "snowfall": ("下雪", "飘着雪"),
    "rainbow": ("有彩虹", "天上有彩虹"),
    "fog": ("有雾", "雾中", "大雾"),
}
STYLES: dict[Style, tuple[str, ...]] = {
    "picture book": ("绘本风格", "绘本"),
    "flat": ("扁平风格", "扁平插画"),
    "watercolour": ("水彩画", "水彩风格"),
    "pencil": ("铅笔画", "彩铅画"),
    "pixel art": ("像素画", "像素风格"),
}
PLACES: dict[Relation, tuple[str, ...]] = {
    "beside": ("旁边", "边上"),
    "left of": ("左边", "的左边", "左侧"),
    "right of": ("右边", "的右边", "右侧"),
    "above": ("上方", "上面", "的上空"),
    "below": ("下面", "下方"),
    "in front of": ("前面", "的前面"),
    "behind": ("后面", "的后面"),
    "between": ("之间", "中间"),
}


def caption(scene: Scene, rng: Random, complete: bool = False) -> str:
    """Word a scene, differently each time; what may be left out is what English leaves out."""

    def told(likely: float) -> bool:
        return rng.random() < likely or complete

    parts = [_things(scene, rng, complete)]
    ground = rng.choice(GROUNDS[scene.ground]) if told(0.87) else ""
    sky = rng.choice(SKIES[scene.sky]) if told(0.88) else ""
    weather = rng.choice(WEATHERS[scene.weather])
    weather = weather if (rng.random() < 0.2 if scene.weather == "clear" else told(0.97)) else ""
    style = rng.choice(STYLES[scene.style])
    style = style if (rng.random() < 0.1 if scene.style == "picture book" else told(0.97)) else ""
    for part in (ground, sky, weather):
        if part and rng.random() < 0.5:
            parts.insert(0, part)
        elif part:
            parts.append(part)
    if style:
        parts.append(style)
    return "，".join(parts)


def _things(scene: Scene, rng: Random, complete: bool) -> str:
    phrases = [_phrase(group, rng, complete) for group in scene.groups]
    relation = scene.relation
    if len(phrases) == 2 and rng.random() < 0.3:
        phrases.reverse()
        relation = OPPOSITES[relation]
    if relation == "together":
        rng.shuffle(phrases)
        return f"{phrases[0]}、{phrases[1]}和{phrases[2]}"
    if relation == "between":
        return f"{phrases[0]}在{phrases[1]}和{phrases[2]}{rng.choice(PLACES[relation])}"
    if relation == "alone":
        return phrases[0]
    if relation == "beside" and rng.random() < 0.4:
        return f"{phrases[0]}和{phrases[1]}"
    return f"{phrases[0]}在{phrases[1]}{rng.choice(PLACES[relation])}"


def _phrase(group: Group, rng: Random, complete: bool) -> str:
    word = rng.choice(NOUNS[group.kind])
    measure, noun = word[0], word[1:]
    left_out = 0.35 if group.color == USUAL_COLORS[group.kind] else 0.04
    color = f"{rng.choice(COLORS[group.color])}的" if complete or rng.random() > left_out else ""
    scale = SCALES[group.scale] if group.scale else ""
    return f"{NUMBERS[group.count]}{measure}{color}{scale}{noun}"
