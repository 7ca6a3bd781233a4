"""Views: the same network with the same weights, some of whose parts are other ones."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TypeVar, cast

from torch import nn

from gesso.engine.engine import plain_class
from gesso.engine.prepared import KeepsPrepared

Model = TypeVar("Model", bound=nn.Module)


def replaced(model: Model, parts: Mapping[str, nn.Module]) -> Model:
    """The same network, in which the parts named stand where its own were.

    The one given stays as it is, and others may draw with it meanwhile. Only what contains a part is
    copied, with its hooks and without what was prepared of it; what would prepare itself anew for each
    view, such as by recording a graph, computes as it is written.

    Args:
        parts: by their place, such as ``mid_block.resnets.0``; none of them inside another.
    """
    view = copy(model)
    view._modules = dict(model._modules)
    if isinstance(model, KeepsPrepared):
        view.__class__ = cast(type[Model], plain_class(model))
    inside: dict[str, dict[str, nn.Module]] = {}
    for path, part in parts.items():
        child, _, rest = path.partition(".")
        if rest:
            inside.setdefault(child, {})[rest] = part
        else:
            view._modules[child] = part
    for child, below in inside.items():
        view._modules[child] = replaced(view.get_submodule(child), below)
    return view
