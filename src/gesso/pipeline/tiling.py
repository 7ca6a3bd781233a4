"""Pictures that repeat without a seam: convolutions that go on at the opposite side.

The padding of zeros tells a network where a picture ends; padded with what is on the other side, it finds
no end. Attention has none anyway.
"""

from __future__ import annotations

from copy import copy
from typing import TypeVar, cast

from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from gesso.engine.engine import plain_class

Model = TypeVar("Model", bound=nn.Module)


class TilingConv2d(nn.Conv2d):
    """A convolution that sees the opposite side of the feature map beyond its edge."""

    around_x: bool
    around_y: bool

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch.nn's name)
        assert not isinstance(self.padding, str)
        y, x = self.padding
        wrapped = pad(input, (x, x, 0, 0), mode="circular") if self.around_x else input
        wrapped = pad(wrapped, (0, 0, y, y), mode="circular") if self.around_y else wrapped
        zeros = 0 if self.around_y else y, 0 if self.around_x else x
        return conv2d(wrapped, self.weight, self.bias, self.stride, zeros, self.dilation, self.groups)


def tiled(model: Model, tiling: str | None) -> Model:
    """The same network, with the same weights, for pictures that repeat.

    The one given stays as it is, and others may draw with it meanwhile. Where the engine would compute a
    padded convolution its own way, it is left out.

    Args:
        tiling: "x", "y" or "both"; None gives the network itself.
    """
    return model if tiling is None else _view(model, tiling in ("x", "both"), tiling in ("y", "both"))


def _view(module: Model, around_x: bool, around_y: bool) -> Model:
    """A copy that shares parameters and hooks, and nothing that was prepared."""
    view = copy(module)
    children = module._modules.items()
    view._modules = {name: child and _view(child, around_x, around_y) for name, child in children}
    if any(isinstance(child, TilingConv2d) for child in view._modules.values()):
        view.__class__ = cast(type[Model], plain_class(module))
    if isinstance(view, nn.Conv2d) and view.padding not in ((0, 0), "valid"):
        view.__class__ = TilingConv2d
        vars(view).update(around_x=around_x, around_y=around_y)
    return view
