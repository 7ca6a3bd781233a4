"""Things on the canvas: each painted in a window of its own, then laid down from the back to the front."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gesso.storybook import palette
from gesso.storybook.canvas import View
from gesso.storybook.cutout import Cutout, Lighting
from gesso.storybook.scene import FLYING, WIDTHS, Kind, Scene, Thing
from gesso.storybook.things import PAINTERS, paint_footing

FIRST_OWNER = 2
WINDOWS = 4
"""A window's side is one to four quarters of the picture's."""

FORESHORTENED = 1.35
"""A reflection is so much lower than the thing."""


@dataclass(frozen=True)
class Placed:
    """A thing in its scene.

    Attributes:
        scene: number of the scene.
        owner: the thing's number in the map of owners.
        layer: how many things of the scene are laid down before it.
    """

    thing: Thing
    scene: int
    owner: int
    layer: int


@dataclass(frozen=True, eq=False)
class Sheets:
    """Painted windows of one size.

    Attributes:
        placed: n things.
        paint: premultiplied RGB and coverage of each, (n, 4, side, side).
        footing: the same of what is under it, likewise.
        top, left: first row and column of each window on the canvas, (n,).
    """

    placed: list[Placed]
    paint: Tensor
    footing: Tensor
    top: Tensor
    left: Tensor


def draw_things(canvas: Tensor, owners: Tensor, view: View) -> Tensor:
    """Draw every scene's things, in place.

    Args:
        canvas: (b, 3, h, w), RGB in 0…1.
        owners: (b, h, w), uint8.

    Returns:
        How far each pixel shows a thing, 0…1, (b, h, w).
    """
    sheets = list(_paint_all(view))
    solid = torch.zeros_like(canvas[:, 0])
    for some, chosen in _layers(sheets):
        wet = [place for place in chosen if view.scenes[some.placed[place].scene].ground == "water"]
        _lay_reflections(
            canvas, some, [place for place in wet if some.placed[place].thing.kind not in FLYING]
        )
        _lay(canvas, some, chosen, some.footing)
    for some, chosen in _layers(sheets):
        coverage, at = _lay(canvas, some, chosen, some.paint)
        solid[at] = solid[at] * (1 - coverage) + coverage
        numbers = owners.new_tensor([some.placed[place].owner for place in chosen])[:, None, None]
        owners[at] = torch.where(coverage > 0.5, numbers, owners[at])
    return solid


def _paint_all(view: View) -> Iterator[Sheets]:
    """All things, painted kind by kind, gathered by the size of their windows."""
    by_kind: defaultdict[tuple[Kind, int], list[Placed]] = defaultdict(list)
    for placed in _in_order(view.scenes):
        by_kind[placed.thing.kind, _window(placed.thing)].append(placed)
    by_window: defaultdict[int, list[Sheets]] = defaultdict(list)
    for (kind, window), some in by_kind.items():
        by_window[window].append(_paint(kind, some, window, view))
    for parts in by_window.values():
        yield Sheets(
            [placed for part in parts for placed in part.placed],
            *(
                torch.cat([getattr(part, name) for part in parts])
                for name in ("paint", "footing", "top", "left")
            ),
        )


def _in_order(scenes: Sequence[Scene]) -> Iterator[Placed]:
    """Every scene's things from the back to the front; what flies comes last."""
    for number, scene in enumerate(scenes):
        things = sorted(enumerate(scene.things), key=lambda each: (each[1].kind in FLYING, each[1].base))
        for layer, (place, thing) in enumerate(things):
            yield Placed(thing, number, FIRST_OWNER + place, layer)


def _window(thing: Thing) -> int:
    """How many quarters of the picture a thing's window needs."""
    reach = max(1.3 * thing.size, 1.2 * thing.width) + 0.02
    return min(WINDOWS, int(reach * WINDOWS) + 1)


def _paint(kind: Kind, placed: list[Placed], window: int, view: View) -> Sheets:
    """Paint things of one kind, each in its window."""
    rows, columns = view.size
    side = -(-rows * window // WINDOWS)
    numbers = [
        (t.x, t.base, t.size, -1.0 if t.mirrored else 1.0, t.tilt, t.variation)
        for t in (each.thing for each in placed)
    ]
    at, base, height, mirror, tilt, variation = view.x.new_tensor(numbers).unbind(1)  # (n,) each
    left = ((at * columns).round().long() - side // 2).clamp(0, columns - side)
    top = (((base - 0.46 * height) * rows).round().long() - side // 2).clamp(0, rows - side)
    steps = torch.arange(side, device=view.x.device)
    x = view.x.flatten()[left[:, None] + steps][:, None, :]  # (n, 1, side)
    y = view.y.flatten()[top[:, None] + steps][:, :, None]  # (n, side, 1)
    u = (x - at[:, None, None]) / height[:, None, None] * mirror[:, None, None]
    v = (base[:, None, None] - y) / height[:, None, None]
    if any(each.thing.tilt for each in placed):
        turn = (tilt * mirror)[:, None, None]
        cos, sin = torch.cos(turn), torch.sin(turn)
        u, v = u * cos - (v - 0.5) * sin, u * sin + (v - 0.5) * cos + 0.5
    scenes = [view.scenes[each.scene] for each in placed]
    paint = view.x.new_tensor([palette.paint_of(kind, each.thing.color) for each in placed])
    light = _lighting(scenes, mirror)
    sheets = [
        Cutout(u, v, height[:, None, None] * rows, paint, variation[:, None], light) for _ in range(2)
    ]
    footing, sheet = sheets
    if kind not in FLYING:
        wet = view.x.new_tensor([[float(scene.ground == "water")] for scene in scenes])
        paint_footing(footing, kind, wet)
    PAINTERS[kind](sheet)
    sheet.shade(WIDTHS[kind] / 2)
    return Sheets(placed, sheet.sheet, footing.sheet, top, left)


def _lighting(scenes: Sequence[Scene], mirror: Tensor) -> Lighting:
    strength, glow = mirror.new_tensor([palette.LIGHTS[scene.sky] for scene in scenes]).unbind(1)
    from_right = mirror.new_tensor([1.0 if scene.backdrop.light_x > 0.5 else -1.0 for scene in scenes])
    open_sky = mirror.new_tensor([[1 - 0.6 * palette.CLOSED[scene.weather]] for scene in scenes])
    return Lighting(
        strength=strength,
        glow=glow,
        side=mirror.new_tensor([palette.SIDE_LIGHTS[scene.sky] for scene in scenes]) * open_sky,
        direction=(from_right * mirror)[:, None, None],
        lamps=mirror.new_tensor([[float(scene.sky != "day")] for scene in scenes]),
        flat=mirror.new_tensor([[float(scene.style == "flat")] for scene in scenes]),
    )


def _layers(sheets: Sequence[Sheets]) -> Iterator[tuple[Sheets, list[int]]]:
    """Windows of one size and one layer: an indexed write takes each scene once."""
    depth = 1 + max(placed.layer for some in sheets for placed in some.placed)
    for layer in range(depth):
        for some in sheets:
            chosen = [place for place, placed in enumerate(some.placed) if placed.layer == layer]
            if chosen:
                yield some, chosen


def _lay(
    canvas: Tensor, sheets: Sheets, chosen: list[int], paint: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Lay windows on the canvases of their scenes; their coverage, (n, side, side), and where they are."""
    device = canvas.device
    steps = torch.arange(paint.shape[-1], device=device)
    numbers = torch.tensor([sheets.placed[place].scene for place in chosen], device=device)
    rows = (sheets.top[chosen][:, None] + steps)[:, :, None]
    columns = (sheets.left[chosen][:, None] + steps)[:, None, :]
    at = numbers[:, None, None], rows, columns
    blend(canvas, at, paint[chosen])
    return paint[chosen, 3], at


def _lay_reflections(canvas: Tensor, sheets: Sheets, chosen: list[int]) -> None:
    """Mirror things at their feet, fainter and wavier the lower."""
    if not chosen:
        return
    height = canvas.shape[-2]
    side = sheets.paint.shape[-1]
    things = [sheets.placed[place].thing for place in chosen]
    feet = torch.tensor([round(thing.base * height) for thing in things], device=canvas.device)
    steps = torch.arange(side // 2, device=canvas.device)
    rows = feet[:, None] + steps  # (n, side / 2)
    source = (feet - sheets.top[chosen])[:, None] - 1 - (steps * FORESHORTENED).long()
    inside = (rows < height) & (source >= 0) & (source < side)
    index = source.clamp(0, side - 1)[:, None, :, None].expand(-1, 4, -1, side)
    mirrored = sheets.paint[chosen].gather(2, index)
    depth = steps / height
    strength = 0.42 * (1 - depth / 0.4).clamp(0, 1) * (0.72 + 0.28 * torch.sin(depth * 160))
    mirrored = mirrored * (strength * inside)[:, None, :, None]
    numbers = torch.tensor([sheets.placed[place].scene for place in chosen], device=canvas.device)
    columns = sheets.left[chosen][:, None] + torch.arange(side, device=canvas.device)
    # rows below the picture all name its last one, where a write of nothing must not undo another
    target = torch.where(rows < height, rows, rows - height)
    blend(canvas, (numbers[:, None, None], target[:, :, None], columns[:, None, :]), mirrored)


def blend(canvas: Tensor, at: tuple[Tensor, Tensor, Tensor], paint: Tensor) -> None:
    """Lay premultiplied paint (n, 4, h, w) on the canvas, in place, at the pixels named."""
    scenes, rows, columns = at
    place = scenes, slice(None), rows, columns
    below = canvas[place]  # (n, h, w, 3)
    color, coverage = paint[:, :3].permute(0, 2, 3, 1), paint[:, 3, :, :, None]
    canvas[place] = below * (1 - coverage) + color
