"""Station 4: what each step removes, and why it is no plain subtraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from gesso.diffusion.samplers import Denoise
from gesso.pipeline.pipeline import Pipeline

from .scenes import HOUSE_PROMPT
from .sheet import Row, heat, pictures, sheet
from .shown import Shown, significant
from .walk import STEPS, denoiser, moments, sigmas, start, walk

LOOKED_AT = (0, 2, 4, 7, 10, 14, 19)
"""Steps that are shown, of 20."""

HEADS = [f"step {index + 1}" for index in LOOKED_AT]
MIDDLE = len(LOOKED_AT) // 2
BRIGHTEST_CHANGE = 0.25
"""Of the range from black to white."""


class Taken(NamedTuple):
    """One step of Euler's method, taken apart. Tensors are (1, c, h, w).

    Attributes:
        sigma, sigma_next: () noise levels before and after it.
        x, x_next: the latents before and after it.
        denoised: the estimate of the clean latents.
    """

    sigma: Tensor
    sigma_next: Tensor
    x: Tensor
    x_next: Tensor
    denoised: Tensor

    @property
    def noise(self) -> Tensor:
        """The predicted noise ε̂ of unit variance: x = denoised + σ · ε̂."""
        return (self.x - self.denoised) / self.sigma

    @property
    def removed(self) -> Tensor:
        """What the step took away, (σ − σ_next) · ε̂: part of the predicted noise, not all of it."""
        return (self.sigma - self.sigma_next) * self.noise


def station(pipe: Pipeline) -> Shown:
    denoise = denoiser(pipe, HOUSE_PROMPT)
    taken = take_apart(pipe, denoise)
    others = {
        "x − σ · noise, each time": subtract_all(pipe, denoise),
        "latents − noise, each time": subtract_plainly(pipe, denoise),
    }
    shown = [taken[index] for index in LOOKED_AT]
    estimates = decoded(pipe, [each.denoised for each in shown])
    rows = {"Euler's steps: the estimates": estimates}
    rows |= {name: decoded(pipe, [each[index] for index in LOOKED_AT]) for name, each in others.items()}
    details = {name: detail(images).tolist() for name, images in rows.items()}
    walked, all_taken, plainly = details.values()
    left = taken[0].x - torch.cat([each.removed for each in taken]).sum(0, keepdim=True)
    return Shown(
        {"steps": _steps_sheet(pipe, shown, estimates), "steps-literal": _literal_sheet(rows, details)},
        {
            "steps": len(taken),
            "sigma_first": significant(taken[0].sigma.item()),
            "sigma_second": significant(taken[0].sigma_next.item()),
            "first_share": significant((1 - taken[0].sigma_next / taken[0].sigma).item()),
            "noise_first": significant(strength(taken[0].noise)),
            "noise_last": significant(strength(taken[-1].noise)),
            "noise_alike": significant(alike(taken[0].noise, shown[-2].noise)),
            "sum_error": significant((left - taken[-1].x_next).abs().max().item(), 1),
            "detail_first": significant(walked[0]),
            "detail_middle": significant(walked[MIDDLE]),
            "detail_last": significant(walked[-1]),
            "detail_all_middle": significant(all_taken[MIDDLE]),
            "detail_all_last": significant(all_taken[-1]),
            "detail_plainly_last": significant(plainly[-1]),
        },
    )


def take_apart(pipe: Pipeline, denoise: Denoise, steps: int = STEPS) -> list[Taken]:
    """The steps of Euler's walk from the seed's noise."""
    walked = walk(pipe, denoise, steps)
    return [
        Taken(moment.sigma, step.sigma, moment.x, step.x, step.denoised)
        for moment, step in zip(moments(pipe, walked), walked, strict=True)
    ]


def subtract_all(pipe: Pipeline, denoise: Denoise, steps: int = STEPS) -> list[Tensor]:
    """The latents after each step if all of the predicted noise, σ · ε̂, is taken away each time.

    What is left is the estimate itself. The network is told the same noise levels as in a walk, though
    there is hardly any noise left for it to find.
    """
    levels, x = _from_noise(pipe, steps)
    found = []
    for sigma in levels[:-1]:
        x = x - sigma * predicted_noise(denoise, x, sigma)
        found.append(x)
    return found


def subtract_plainly(pipe: Pipeline, denoise: Denoise, steps: int = STEPS) -> list[Tensor]:
    """The latents after each step if ``latents = latents - noise`` is taken at its word.

    Latents are here as the network reads them, x / √(1+σ²), and the noise is ε̂ as it is, unscaled.
    """
    levels, x = _from_noise(pipe, steps)
    latents = x / (levels[0] ** 2 + 1) ** 0.5
    found = []
    for sigma in levels[:-1]:
        latents = latents - predicted_noise(denoise, latents * (sigma**2 + 1) ** 0.5, sigma)
        found.append(latents)
    return found


def predicted_noise(denoise: Denoise, x: Tensor, sigma: Tensor) -> Tensor:
    """ε̂, of unit variance: x = denoised + σ · ε̂."""
    return (x - denoise(x, sigma)) / sigma


def _from_noise(pipe: Pipeline, steps: int) -> tuple[Tensor, Tensor]:
    """The noise levels of a walk, and the noise it starts from."""
    levels = sigmas(pipe, steps)
    _, noise = start(pipe)
    return levels, noise * levels[0]


def detail(images: Tensor) -> Tensor:
    """(b,) root mean square of the difference of neighbouring pixels, as a share of black to white."""
    down, right = (images.diff(dim=side).square().mean(dim=(1, 2, 3)) for side in (2, 3))
    return ((down + right) / 2).sqrt() / 2


def strength(noise: Tensor) -> float:
    """Root mean square; 1 of the noise that the walk begins with, but for chance."""
    return float(noise.square().mean().sqrt())


def alike(noise: Tensor, other: Tensor) -> float:
    """Cosine of two predictions: 1 where they are the same noise, but for its strength."""
    return float(torch.cosine_similarity(noise.flatten(), other.flatten(), dim=0))


def decoded(pipe: Pipeline, latents: Sequence[Tensor]) -> Tensor:
    """n latents (1, c, h, w) -> images (n, 3, ·, ·) in [-1, 1]."""
    return pipe.autoencoder.decode(torch.cat([*latents])).clamp(-1, 1)


def _steps_sheet(pipe: Pipeline, shown: Sequence[Taken], estimates: Tensor) -> Image.Image:
    noisy = decoded(pipe, [each.x / (each.sigma**2 + 1) ** 0.5 for each in shown])
    colours = pipe.previewer()
    rows = [
        Row("the latents x, decoded", pictures(noisy), [f"σ = {each.sigma:.2f}" for each in shown]),
        Row(
            "the predicted noise, latents as colours",
            [colours(each.noise)[0] for each in shown],
            [f"{1 - each.sigma_next / each.sigma:.0%} of it taken" for each in shown],
        ),
        Row("the estimate: x − σ · noise, decoded", pictures(estimates)),
        Row(
            "what changes in it until the next column",
            [heat(change, BRIGHTEST_CHANGE) for change in estimates.diff(dim=0).abs().mean(1) / 2],
        ),
    ]
    return sheet(rows, HEADS, tile=112)


def _literal_sheet(rows: Mapping[str, Tensor], details: Mapping[str, Sequence[float]]) -> Image.Image:
    return sheet(
        [
            Row(name, pictures(images), [f"detail {share:.1%}" for share in details[name]])
            for name, images in rows.items()
        ],
        HEADS,
        tile=112,
    )
