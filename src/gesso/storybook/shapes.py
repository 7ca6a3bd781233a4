"""Signed distance functions: how far a point is from a shape's edge, negative inside.

Each takes coordinates ``u`` (to the right) and ``v`` (upwards) as tensors that broadcast to (…, h, w) and
returns distances in the same unit. Formulas follow Inigo Quilez, "2D distance functions"; where an exact
distance would cost more, the value is exact near the edge, which is all that antialiasing reads.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

Point = tuple[float, float]


def circle(u: Tensor, v: Tensor, centre: Point, radius: float) -> Tensor:
    """Distance to a circle."""
    return torch.sqrt((u - centre[0]) ** 2 + (v - centre[1]) ** 2) - radius


def ellipse(u: Tensor, v: Tensor, centre: Point, radii: Point) -> Tensor:
    """First-order distance to an ellipse with axes along u and v."""
    x, y = (u - centre[0]) / radii[0], (v - centre[1]) / radii[1]
    level = torch.sqrt(x**2 + y**2)
    slope = torch.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2)
    return level * (level - 1) / slope.clamp_min(1e-6)


def box(u: Tensor, v: Tensor, centre: Point, half: Point, rounding: float = 0.0) -> Tensor:
    """Distance to a rectangle of half sides ``half`` whose corners are rounded with radius ``rounding``."""
    x = (u - centre[0]).abs() - (half[0] - rounding)
    y = (v - centre[1]).abs() - (half[1] - rounding)
    if rounding == 0.0:
        return torch.maximum(x, y)
    outside = torch.sqrt(x.clamp_min(0) ** 2 + y.clamp_min(0) ** 2)
    return outside + torch.maximum(x, y).clamp_max(0) - rounding


def convex(u: Tensor, v: Tensor, *corners: Point) -> Tensor:
    """Distance to a convex polygon whose corners are given counter-clockwise."""
    distance = None
    for (u0, v0), (u1, v1) in pairwise((*corners, corners[0])):
        length = math.hypot(u1 - u0, v1 - v0)
        normal_u, normal_v = (v1 - v0) / length, (u0 - u1) / length
        edge = u * normal_u + (v * normal_v - (u0 * normal_u + v0 * normal_v))
        distance = edge if distance is None else torch.maximum(distance, edge)
    assert distance is not None
    return distance


def segment(u: Tensor, v: Tensor, start: Point, end: Point, width: float) -> Tensor:
    """Distance to a straight stroke of the given width with round ends."""
    along = (end[0] - start[0], end[1] - start[1])
    square = along[0] ** 2 + along[1] ** 2
    share = ((u - start[0]) * (along[0] / square) + (v - start[1]) * (along[1] / square)).clamp(0, 1)
    return (
        torch.sqrt((u - start[0] - share * along[0]) ** 2 + (v - start[1] - share * along[1]) ** 2)
        - width / 2
    )


def union(first: Tensor, *others: Tensor) -> Tensor:
    """Distance to what is in any of the shapes."""
    for other in others:
        first = torch.minimum(first, other)
    return first


def intersection(first: Tensor, *others: Tensor) -> Tensor:
    """Distance to what is in all of the shapes."""
    for other in others:
        first = torch.maximum(first, other)
    return first


def subtraction(whole: Tensor, removed: Tensor) -> Tensor:
    """Distance to what is in ``whole`` and not in ``removed``."""
    return torch.maximum(whole, -removed)
