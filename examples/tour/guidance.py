"""Station 6: what guidance does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from gesso.pipeline.pipeline import Pipeline

from .scenes import HOUSE_PROMPT, MUSHROOM_PROMPT
from .sheet import Row, heat, pictures, sheet
from .shown import Shown, significant
from .walk import STEPS, denoiser, moments, walk

SCALES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
LOOKED_AT = (0, 3, 7, 11, 15, 19)
"""Steps that are shown, of 20."""


class Estimates(NamedTuple):
    """What is estimated at one step, (1, c, h, w) each: for no prompt, for the prompt, and guided."""

    sigma: float
    empty: Tensor
    prompted: Tensor
    guided: Tensor

    @property
    def direction(self) -> Tensor:
        """What the prompt changes: guided = empty + scale · direction."""
        return self.prompted - self.empty

    @property
    def strength(self) -> float:
        """Root mean square of the direction."""
        return float(self.direction.square().mean().sqrt())


def station(pipe: Pipeline) -> Shown:
    found = {prompt: by_scale(pipe, prompt, SCALES) for prompt in (HOUSE_PROMPT, MUSHROOM_PROMPT)}
    images = {prompt: pipe.autoencoder.decode(latents) for prompt, latents in found.items()}
    steps = step_by_step(pipe, HOUSE_PROMPT)
    house = images[HOUSE_PROMPT]
    apart = (found[HOUSE_PROMPT][0] - found[MUSHROOM_PROMPT][0]).abs().max().item()
    numbers: dict[str, float | str] = {
        "scale": pipe.config.guidance_scale,
        "apart_at_zero": significant(apart, 1),
        "direction_first": significant(steps[0].strength),
        "direction_middle": significant(steps[len(steps) // 2].strength),
        "direction_last": significant(steps[-1].strength),
        "sigma_middle": significant(steps[len(steps) // 2].sigma),
        "sigma_last": significant(steps[-1].sigma),
    }
    for scale, spread, cut in zip(SCALES, contrast(house).tolist(), overshoot(house).tolist(), strict=True):
        numbers[f"contrast_{scale:g}"] = significant(spread)
        numbers[f"cut_{scale:g}"] = significant(cut)
    return Shown(
        {
            "guidance": _scales_sheet(images),
            "guidance-direction": _direction_sheet(pipe, [steps[index] for index in LOOKED_AT]),
        },
        numbers,
    )


def by_scale(pipe: Pipeline, prompt: str, scales: Sequence[float], steps: int = STEPS) -> Tensor:
    """(len(scales), c, h, w) finished latents from one seed's noise."""
    return torch.cat([walk(pipe, denoiser(pipe, prompt, scale), steps)[-1].latents for scale in scales])


def step_by_step(pipe: Pipeline, prompt: str, steps: int = STEPS) -> list[Estimates]:
    """The estimates along the guided walk."""
    walked = walk(pipe, denoiser(pipe, prompt), steps)
    empty, prompted = (denoiser(pipe, prompt, scale) for scale in (0.0, 1.0))
    return [
        Estimates(float(moment.sigma), empty(*moment), prompted(*moment), step.denoised)
        for moment, step in zip(moments(pipe, walked), walked, strict=True)
    ]


def contrast(images: Tensor) -> Tensor:
    """(b,) standard deviation of the pixels, as a share of the range from black to white."""
    return images.clamp(-1, 1).std(dim=(1, 2, 3)) / 2


def overshoot(images: Tensor) -> Tensor:
    """(b,) share of the decoded values that lie outside the range from black to white and are cut off."""
    return (images.abs() > 1).float().mean(dim=(1, 2, 3))


def _scales_sheet(images: Mapping[str, Tensor]) -> Image.Image:
    rows = []
    for prompt, each in images.items():
        measured = zip(contrast(each).tolist(), overshoot(each).tolist(), strict=True)
        notes = [f"{spread:.2f}, cut {cut:.1%}" for spread, cut in measured]
        rows.append(Row(prompt, pictures(each), notes))
    return sheet(rows, [f"scale {scale:g}" for scale in SCALES])


def _direction_sheet(pipe: Pipeline, shown: Sequence[Estimates]) -> Image.Image:
    def drawn(latents: list[Tensor]) -> list[Image.Image]:
        return pictures(pipe.autoencoder.decode(torch.cat(latents)))

    rows = [
        Row(
            "for no prompt",
            drawn([each.empty for each in shown]),
            [f"σ = {each.sigma:.2f}" for each in shown],
        ),
        Row("for the prompt", drawn([each.prompted for each in shown])),
        Row(
            "where they differ",
            [heat(each.direction[0].square().mean(0).sqrt()) for each in shown],
            [f"RMS {each.strength:.2g}" for each in shown],
        ),
        Row(f"guided, scale {pipe.config.guidance_scale:g}", drawn([each.guided for each in shown])),
    ]
    return sheet(rows, [f"step {index + 1}" for index in LOOKED_AT], tile=112)
