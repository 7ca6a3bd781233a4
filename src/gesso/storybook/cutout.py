"""A stack of paper cut-outs: many things of one kind, painted part by part with antialiased edges."""

from __future__ import annotations

import torch
from torch import Tensor

from gesso.storybook.palette import RGB

RIM = 0.026  # width of the darker edge of a part, as a share of the thing's height


class Cutout:
    """n things of one kind, each on its own transparent sheet.

    Coordinates are the things' own: u = 0 is the middle and v runs from 0 at the foot to 1 at the top.

    Args:
        u: to the right, broadcasts to (n, h, w).
        v: upwards, likewise.
        pixels: how many pixels high each thing is, (n, 1, 1).
        paint: the main colours, (n, 3).
        light: strength and glow of the light on each thing, both (n, 3).
        lamps: how far lamps are lit, 0…1, (n, 1).
    """

    def __init__(
        self,
        u: Tensor,
        v: Tensor,
        pixels: Tensor,
        paint: Tensor,
        light: tuple[Tensor, Tensor],
        lamps: Tensor,
    ) -> None:
        self.u, self.v, self.pixels, self.paint, self.light, self.lamps = u, v, pixels, paint, light, lamps
        n, h, w = torch.broadcast_shapes(u.shape, v.shape)
        self.sheet = u.new_zeros(n, 4, h, w)  # premultiplied colour, and coverage

    def shaded(self, strength: float = 0.72) -> Tensor:
        """The main colours, darker; black becomes lighter instead, so that the two still differ. (n, 3)"""
        dark = (self.paint.amax(dim=1, keepdim=True) < 0.3).to(self.paint)
        return self.paint * strength + dark * (1 - strength) * 0.75

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
        lit = paint * self.light[0] + self.light[1]
        if rim:
            bright = (paint.amax(dim=1, keepdim=True) > 0.3).to(paint)
            edge = lit * (0.62 * bright + 1.9 * (1 - bright)) + 0.17 * (1 - bright)
            self._lay(distance, edge, opacity)
            distance = distance + RIM
        self._lay(distance, lit, opacity)

    def fill_lamp(self, distance: Tensor, unlit: RGB, lit: RGB) -> None:
        """Paint a window: glass by day, shining in the dark."""
        glass = self.paint.new_tensor(unlit) * self.light[0] + self.light[1]
        self._lay(distance, torch.lerp(glass, self.paint.new_tensor(lit), self.lamps))

    def fill_glow(self, distance: Tensor, color: RGB) -> None:
        """Paint something that shines by itself, whatever the light."""
        self._lay(distance, self.paint.new_tensor(color).expand_as(self.paint))

    def _lay(self, distance: Tensor, color: Tensor, opacity: Tensor | float = 1.0) -> None:
        coverage = (0.5 - distance * self.pixels).clamp(0, 1)  # (n, h, w)
        if isinstance(opacity, Tensor):
            opacity = opacity[:, :, None]
        coverage = coverage * opacity
        target = torch.cat([color, torch.ones_like(color[:, :1])], dim=1)  # (n, 4)
        self.sheet += coverage[:, None] * (target[:, :, None, None] - self.sheet)
