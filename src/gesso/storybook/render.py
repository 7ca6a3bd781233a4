"""Scenes to images: many at once, at any size, with antialiased edges."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.backdrop import draw_backdrop
from gesso.storybook.cutout import Cutout
from gesso.storybook.scene import FLYING, KINDS, Kind, Scene, Thing
from gesso.storybook.things import PAINTERS, paint_footing

Placed = tuple[int, Thing]  # a thing and the number of its scene


@torch.no_grad()
def render(scenes: Sequence[Scene], size: int = 64, device: torch.device | str | None = None) -> Tensor:
    """Draw scenes.

    Args:
        scenes: what to draw, at least one.
        size: side of the pictures in pixels; what they show does not depend on it.
        device: where to draw; None is the CPU.

    Returns:
        Images, float32 in [-1, 1], (b, 3, size, size).
    """
    centres = (torch.arange(size, dtype=torch.float32, device=device) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]
    canvas = draw_backdrop(scenes, x, y)
    things = [(number, thing) for number, scene in enumerate(scenes) for thing in scene.things]
    for kind in KINDS:  # from the back to the front
        placed = [(number, thing) for number, thing in things if thing.kind == kind]
        if placed:
            sheets = _paint(kind, placed, scenes, x, y)
            _paste(canvas, sheets, [number for number, _ in placed])
    return canvas.clamp_(0, 1).mul_(2).sub_(1)


def _paint(kind: Kind, placed: Sequence[Placed], scenes: Sequence[Scene], x: Tensor, y: Tensor) -> Tensor:
    """Paint things of one kind, each on its own sheet: premultiplied RGB and coverage, (n, 4, h, w)."""
    at, base, height, mirror, tilt = (
        x.new_tensor(values)[:, None, None]
        for values in zip(
            *((t.x, t.base, t.size, -1.0 if t.mirrored else 1.0, t.tilt) for _, t in placed), strict=True
        )
    )
    u, v = (x - at) / height, (base - y) / height
    if any(thing.tilt for _, thing in placed):
        cos, sin = torch.cos(tilt), torch.sin(tilt)
        u, v = u * cos - (v - 0.5) * sin, u * sin + (v - 0.5) * cos + 0.5
    lights = [palette.LIGHTS[scenes[number].sky] for number, _ in placed]
    paint = [
        palette.PAINTS[thing.color] if thing.color else palette.NATURAL_PAINTS[kind] for _, thing in placed
    ]
    strength, glow = x.new_tensor(lights).unbind(1)  # (n, 3) each
    sheet = Cutout(
        u * mirror,
        v,
        pixels=height * y.shape[-2],
        paint=x.new_tensor(paint),
        light=(strength, glow),
        lamps=x.new_tensor([[float(scenes[number].sky != "day")] for number, _ in placed]),
    )
    if kind not in FLYING:
        wet = [[float(scenes[number].ground == "water")] for number, _ in placed]
        paint_footing(sheet, kind, x.new_tensor(wet))
    PAINTERS[kind](sheet)
    return sheet.sheet


def _paste(canvas: Tensor, sheets: Tensor, numbers: Sequence[int]) -> None:
    """Lay each sheet on the canvas of its scene, in place."""
    # an indexed write takes each scene once, so two things of one kind in a scene take turns
    seen: Counter[int] = Counter()
    turns: defaultdict[int, list[int]] = defaultdict(list)
    for sheet, number in enumerate(numbers):
        turns[seen[number]].append(sheet)
        seen[number] += 1
    for turn in turns.values():
        scenes = [numbers[sheet] for sheet in turn]
        canvas[scenes] = canvas[scenes] * (1 - sheets[turn, 3:]) + sheets[turn, :3]
