"""A stack of paper cut-outs: many things of one kind, painted part by part with antialiased edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gesso.storybook.palette import RGB

RIM = 0.024
"""Width of the darker edge of a part, as a share of the thing's height."""


@dataclass(frozen=True, eq=False)
class Lighting:
    """The light that falls on n things.

    Attributes:
        strength, glow: a colour c appears as c · strength + glow, both (n, 3).
        side: how much brighter the side towards the light is, as shares of c, (n, 3).
        direction: 1 where the light comes from the right, in the things' own coordinates, else -1,
            (n, 1, 1).
        lamps: how far lamps are lit, 0…1, (n, 1).
        flat: 1 where there is to be neither shade nor rim, else 0, (n, 1).
    """

    strength: Tensor
    glow: Tensor
    side: Tensor
    direction: Tensor
    lamps: Tensor
    flat: Tensor


class Cutout:
    """n things of one kind, each on its own transparent sheet.

    Coordinates are the things' own: u = 0 is the middle and v runs from 0 at the foot to 1 at the top.

    Args:
        u: to the right, broadcasts to (n, h, w).
        v: upwards, likewise.
        pixels: how many pixels high each thing is, (n, 1, 1).
        paint: the main colours, (n, 3).
        variation: in 0…1, (n, 1).
        light: what falls on them.
    """

    def __init__(
        self, u: Tensor, v: Tensor, pixels: Tensor, paint: Tensor, variation: Tensor, light: Lighting
    ) -> None:
        self.u, self.v, self.pixels, self.paint = u, v, pixels, paint
        self.variation, self.light = variation, light
        n, h, w = torch.broadcast_shapes(u.shape, v.shape)
        self.sheet = u.new_zeros(n, 4, h, w)  # premultiplied colour, and coverage

    def vary(self, number: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """The ``number``-th of the things' own random values, uniform in low…high. (n, 1, 1)"""
        return (low + (high - low) * (self.variation * (17.0 + 14.0 * number)).frac())[..., None]

    def some(self, number: int, share: float = 0.5) -> Tensor:
        """1 for a ``share`` of the things, else 0: the opacity of a part that not all have. (n, 1)"""
        return (self.vary(number)[..., 0] < share).to(self.paint)

    def shaded(self, strength: float = 0.72) -> Tensor:
        """The main colours, darker; black becomes lighter instead, so that the two still differ. (n, 3)"""
        dark = (self.paint.amax(dim=1, keepdim=True) < 0.3).to(self.paint)
        return self.paint * strength + dark * (1 - strength) * 0.75

    def bright(self, share: float = 0.35) -> Tensor:
        """The main colours, nearer to white. (n, 3)"""
        return torch.lerp(self.paint, torch.ones_like(self.paint), share)

    def contrasting(self, color: RGB, near: RGB, otherwise: RGB) -> Tensor:
        """``color``, but ``otherwise`` on things whose main colour is about ``near``. (n, 3)"""
        distance = (self.paint - self.paint.new_tensor(near)).abs().amax(dim=1, keepdim=True)
        return torch.where(distance < 0.3, self.paint.new_tensor(otherwise), self.paint.new_tensor(color))

    def fill(
        self, distance: Tensor, color: Tensor | RGB, *, rim: bool = False, opacity: Tensor | float = 1.0
    ) -> None:
        """Paint a part.

        Args:
            distance: signed distance to the part in the things' coordinates, (n, h, w).
            color: (n, 3), or one colour for all.
            rim: draw the part's edge darker, so that it stands out from what is behind it.
            opacity: 0…1, or one for each thing, (n, 1).
        """
        paint = color if isinstance(color, Tensor) else self.paint.new_tensor(color).expand_as(self.paint)
        lit = paint * self.light.strength + self.light.glow
        if rim:
            bright = (paint.amax(dim=1, keepdim=True) > 0.3).to(paint)
            edge = lit * (0.62 * bright + 1.9 * (1 - bright)) + 0.17 * (1 - bright)
            self._lay(distance, torch.lerp(edge, lit, self.light.flat), opacity)
            distance = distance + RIM
        self._lay(distance, lit, opacity)

    def fill_lamp(self, distance: Tensor, unlit: RGB, lit: RGB) -> None:
        """Paint a window: glass by day, shining in the dark."""
        glass = self.paint.new_tensor(unlit) * self.light.strength + self.light.glow
        self._lay(distance, torch.lerp(glass, self.paint.new_tensor(lit), self.light.lamps))

    def fill_glow(self, distance: Tensor, color: RGB, opacity: Tensor | float = 1.0) -> None:
        """Paint something that shines by itself, whatever the light."""
        self._lay(distance, self.paint.new_tensor(color).expand_as(self.paint), opacity)

    def shade(self, half: float) -> None:
        """Brighten the side towards the light and darken the other, on all that is painted so far.

        Args:
            half: half the width of the things, in their own units.
        """
        towards = (self.u * (self.light.direction / half)).clamp(-1, 1) + 0.5 * (self.v - 0.5)
        share = self.light.side * (1 - self.light.flat)
        self.sheet[:, :3] *= 1 + towards[:, None] * share[:, :, None, None]

    def _lay(self, distance: Tensor, color: Tensor, opacity: Tensor | float = 1.0) -> None:
        coverage = (0.5 - distance * self.pixels).clamp_(0, 1)  # (n, h, w)
        if isinstance(opacity, Tensor):
            opacity = opacity[:, :, None]
        coverage = coverage * opacity
        target = torch.cat([color, torch.ones_like(color[:, :1])], dim=1)  # (n, 4)
        self.sheet.lerp_(target[:, :, None, None], coverage[:, None].expand_as(self.sheet))
