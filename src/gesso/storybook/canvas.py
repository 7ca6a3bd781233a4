"""The sheet that a batch of scenes is painted on, and what every painter of it needs to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gesso.storybook.palette import RGB
from gesso.storybook.scene import Scene


@dataclass(frozen=True, eq=False)
class View:
    """b scenes and the pixels they are seen through.

    Attributes:
        x: picture coordinates of the columns, (1, 1, w).
        y: picture coordinates of the rows, (1, h, 1).
    """

    scenes: Sequence[Scene]
    x: Tensor
    y: Tensor

    @classmethod
    def square(cls, scenes: Sequence[Scene], size: int, device: torch.device | str | None) -> View:
        centres = (torch.arange(size, dtype=torch.float32, device=device) + 0.5) / size
        return cls(scenes, centres[None, None, :], centres[None, :, None])

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.shape[1], self.x.shape[2]

    @cached_property
    def horizon(self) -> Tensor:
        return self.of_scenes(lambda scene: scene.backdrop.horizon)[:, None, None]  # (b, 1, 1)

    @cached_property
    def phase(self) -> Tensor:
        return self.of_scenes(lambda scene: scene.backdrop.phase)[:, None, None]

    @cached_property
    def light_x(self) -> Tensor:
        return self.of_scenes(lambda scene: scene.backdrop.light_x)[:, None, None]

    @cached_property
    def light_y(self) -> Tensor:
        """Of the sun at sunset: the horizon."""
        return self.of_scenes(
            lambda scene: scene.backdrop.horizon if scene.sky == "sunset" else scene.backdrop.light_y
        )[:, None, None]

    def of_scenes(self, value: Callable[[Scene], object]) -> Tensor:
        """One value, or a tuple of them, of each scene. (b, …)"""
        return self.x.new_tensor([value(scene) for scene in self.scenes])

    def where(self, test: Callable[[Scene], bool]) -> list[int]:
        """The numbers of the scenes that pass."""
        return [number for number, scene in enumerate(self.scenes) if test(scene)]

    def only(self, numbers: Sequence[int], rows: slice = slice(None)) -> View:
        """Some of the scenes, or some of the rows."""
        return View([self.scenes[number] for number in numbers], self.x, self.y[:, rows])


def lay(
    canvas: Tensor,
    distance: Tensor,
    color: Tensor | RGB,
    opacity: Tensor | float = 1.0,
    soft: float = 0.0,
) -> Tensor:
    """Paint a shape over a canvas.

    Args:
        canvas: (b, 3, h, w).
        distance: signed distance in picture units, (b, h, w) or broadcastable.
        color: (b, 3), or one for all.
        opacity: 0…1, one for all or broadcastable to (b, h, w).
        soft: width of the blurred edge in picture units; 0 is one pixel.
    """
    paint = color if isinstance(color, Tensor) else canvas.new_tensor(color)[None]
    edge = max(soft, 1 / canvas.shape[-1])
    coverage = (0.5 - distance / edge).clamp(0, 1) * opacity
    return torch.lerp(canvas, paint[:, :, None, None], coverage[:, None])
