"""Starting noise that is near another one: between two seeds, or that of another size."""

from __future__ import annotations

import torch
from torch import Tensor


def slerp(noise: Tensor, other: Tensor, amount: float) -> Tensor:
    """From one noise to another, along a great circle, so that the variance on the way stays one.

    Shoemake 1985, "Animating Rotation with Quaternion Curves", §3.3, for each column of each channel: what
    AUTOMATIC1111 calls variation strength. Columns of nearly one direction are mixed straight.

    Args:
        noise: (b, c, h, w).
        other: likewise.
        amount: 0 (``noise``) … 1 (``other``).
    """
    cosine = (unit(noise) * unit(other)).sum(dim=-2, keepdim=True).clamp(-1, 1)  # (b, c, 1, w)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    straight = sine < 1e-4
    sine = torch.where(straight, 1.0, sine)
    share = torch.where(straight, 1 - amount, torch.sin((1 - amount) * angle) / sine)
    other_share = torch.where(straight, amount, torch.sin(amount * angle) / sine)
    return share * noise + other_share * other


def unit(noise: Tensor) -> Tensor:
    """Each column of length one."""
    return noise / noise.norm(dim=-2, keepdim=True)


def centred(noise: Tensor, over: Tensor) -> Tensor:
    """Noise of one size in the middle of another's: what AUTOMATIC1111 calls resizing a seed.

    Args:
        noise: (b, c, h, w), cut off at the sides where it is larger.
        over: (b, c, h', w'), which is seen around it where it is smaller.

    Returns:
        (b, c, h', w')
    """
    placed = over.clone()
    (top, from_top, height), (left, from_left, width) = (
        _overlap(noise.shape[axis], over.shape[axis]) for axis in (-2, -1)
    )
    piece = noise[..., from_top : from_top + height, from_left : from_left + width]
    placed[..., top : top + height, left : left + width] = piece
    return placed


def _overlap(length: int, over: int) -> tuple[int, int, int]:
    """Where the middle of one span lies in another: its place there, its start in the first, its length."""
    offset = (over - length) // 2
    return (offset, 0, length) if offset >= 0 else (0, -offset, length + 2 * offset)
