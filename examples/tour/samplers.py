"""Station 7: why samplers differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from gesso.diffusion.samplers import SAMPLERS, Denoise
from gesso.pipeline.pipeline import Pipeline

from .chart import Line, line_chart
from .scenes import HOUSE_PROMPT
from .sheet import Row, sheet
from .shown import Shown, significant
from .walk import denoiser, walk

NAMES = ("euler", "ddim", "heun", "dpmpp_2m", "euler_ancestral")
STEPS = (5, 10, 20, 50)
REFERENCE = ("heun", 100)
"""Stands for the exact solution."""


class Arrival(NamedTuple):
    """Where a sampler arrives.

    Attributes:
        steps: that it took.
        calls: of the network, one for both halves of guidance.
        latents: (1, c, h, w) finished.
        distance: to the reference, root mean square of the difference divided by that of the reference.
    """

    steps: int
    calls: int
    latents: Tensor
    distance: float


def station(pipe: Pipeline) -> Shown:
    denoise = denoiser(pipe, HOUSE_PROMPT)
    name, steps = REFERENCE
    reference = walk(pipe, denoise, steps, sampler=name)[-1].latents
    found = {name: arrivals(pipe, denoise, name, STEPS, reference) for name in NAMES}
    same = zip(found["euler"], found["ddim"], strict=True)
    apart = max(float((one.latents - other.latents).abs().max()) for one, other in same)
    numbers: dict[str, float | str] = {"ddim_euler": significant(apart, 1)}
    for sampler, line in found.items():
        numbers |= {f"{sampler}_{each.steps}": significant(each.distance) for each in line}
    return Shown(
        {"samplers": _sheet(pipe, found, reference), "samplers-distance": _chart(found)},
        numbers,
    )


def arrivals(
    pipe: Pipeline, denoise: Denoise, name: str, steps: Sequence[int], reference: Tensor
) -> list[Arrival]:
    """Walks of one sampler from the same noise along the same kind of schedule."""
    found = []
    for count in steps:
        latents = walk(pipe, denoise, count, sampler=name)[-1].latents
        distance = float((latents - reference).norm() / reference.norm())
        found.append(Arrival(count, calls(name, count), latents, distance))
    return found


def calls(name: str, steps: int) -> int:
    """Of the network in a walk to σ = 0; samplers that ask twice a step ask once in the last."""
    each = SAMPLERS[name].calls
    return each * steps - (each - 1)


def _sheet(pipe: Pipeline, found: Mapping[str, Sequence[Arrival]], reference: Tensor) -> Image.Image:
    rows = []
    for name, line in found.items():
        drawn = pipe.decode(torch.cat([each.latents for each in line]))
        rows.append(Row(name, drawn, [f"off by {each.distance:.3f}" for each in line]))
    name, steps = REFERENCE
    rows.append(Row(f"the reference: {name}, {steps} steps", pipe.decode(reference)))
    return sheet(rows, [f"{count} steps" for count in STEPS], tile=192)


def _chart(found: Mapping[str, Sequence[Arrival]]) -> str:
    lines = [
        Line(name, [(each.calls, each.distance) for each in line])
        for name, line in found.items()
        if name != "ddim"  # its line would lie on Euler's
    ]
    return line_chart(
        "How far from the reference each sampler arrives",
        lines,
        x_title="calls of the network",
        y_title="difference of the finished latents, relative",
    )
