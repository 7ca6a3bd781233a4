"""Whose customs a walk follows where programs differ under one name.

Diffusers, AUTOMATIC1111 and ComfyUI have the same samplers and schedules, and yet visit other noise levels,
start from noise of another scale, and tell the network other timesteps. Importing this imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gesso.diffusion.beta import beta_quantile
from gesso.diffusion.points import ALIGN_YOUR_STEPS, interpolated, linspace

if TYPE_CHECKING:
    from gesso.diffusion.schedule import NoiseSchedule

NOISE_SOURCES = ("cpu", "cuda", "cpu_then_cuda")
"""What `gesso.diffusion.noise.NoiseSource` draws from."""


@dataclass(frozen=True)
class Grid:
    """How a program spaces a schedule where it does so in a way of its own.

    Attributes:
        points: (noise schedule, steps) -> all points, the noisiest first; maybe more or fewer than steps.
        over: whether they are timesteps or sigmas.
        has_end: whether the last of them is where the walk ends; else it ends at 0.
    """

    points: Callable[[NoiseSchedule, int], list[float]]
    over: Literal["timesteps", "sigmas"]
    has_end: bool = False


@dataclass(frozen=True)
class SigmaRules:
    """The customs of one program.

    Attributes:
        name: what requests say.
        about: whose they are, and where they are written down.
        left_alone: samplers that walk as in Diffusers all the same: the program has none like them.
        chains: samplers that walk along `first_chain`, whatever the schedule, from noise of unit variance.
        grids: schedules that are spaced otherwise, by name.
        discards: samplers for which one point more is spaced and the last sigma but one dropped.
        rounding: of the timesteps the network is told.
        full_scale: whether a walk from the largest sigma starts from √(1+σ²) · noise, not from σ · noise.
    """

    name: str
    about: str
    left_alone: frozenset[str] = frozenset()
    chains: frozenset[str] = frozenset()
    grids: Mapping[str, Grid] = field(default_factory=dict)
    discards: frozenset[str] = frozenset()
    rounding: Literal["none", "nearest"] = "none"
    full_scale: bool = False


def whole_stride(noise_schedule: NoiseSchedule, steps: int) -> list[float]:
    """Every ⌊T / steps⌋-th timestep from 1 on: some more than steps where T is not a multiple."""
    stride = max(noise_schedule.steps // steps, 1)
    return [float(timestep) for timestep in range(1, noise_schedule.steps, stride)][::-1]


def first_chain(noise_schedule: NoiseSchedule, steps: int) -> list[float]:
    """AUTOMATIC1111's timesteps of DDIM and PLMS: those of `points.leading`, but the last is the end."""
    stride = noise_schedule.steps // steps
    last = noise_schedule.steps - 1
    return [float(min(t + 1, last)) for t in range(0, noise_schedule.steps, stride)][::-1]


def eleven_align_your_steps(_noise_schedule: NoiseSchedule, steps: int) -> list[float]:
    """The eleven published sigmas, interpolated to as many as there are steps."""
    logs = [math.log(sigma) for sigma in ALIGN_YOUR_STEPS]
    return [math.exp(interpolated(logs, place)) for place in linspace(0.0, len(logs) - 1.0, steps)]


def kl_optimal_to_the_end(noise_schedule: NoiseSchedule, steps: int) -> list[float]:
    """Evenly in arctan σ, with the smallest sigma as the end and not as the last point."""
    ends = math.atan(noise_schedule.sigma_max), math.atan(noise_schedule.sigma_min)
    return [math.tan(angle) for angle in linspace(*ends, steps + 1)]


def beta_over_timesteps(noise_schedule: NoiseSchedule, steps: int) -> list[float]:
    """Quantiles of the beta distribution over timesteps, rounded to whole ones, each once."""
    places = [beta_quantile(1 - k / steps, 0.6, 0.6) for k in range(steps)]
    half_up = 0.5 + 1e-9  # the median is half way between two timesteps: ComfyUI takes the noisier one
    timesteps = (math.floor(place * (noise_schedule.steps - 1) + half_up) for place in places)
    return [float(timestep) for timestep in dict.fromkeys(timesteps)]


FIRST_CHAIN = Grid(first_chain, "timesteps", has_end=True)

AUTOMATIC1111 = SigmaRules(
    name="a1111",
    about="AUTOMATIC1111: modules/sd_samplers_kdiffusion.py, sd_samplers_timesteps.py, sd_schedulers.py",
    left_alone=frozenset({"ddpm", "unipc", "deis", "lcm", "tcd"}),
    chains=frozenset({"ddim", "plms"}),
    grids={
        "ddim_uniform": Grid(whole_stride, "timesteps"),
        "ays": Grid(eleven_align_your_steps, "sigmas"),
        "kl_optimal": Grid(kl_optimal_to_the_end, "sigmas", has_end=True),
    },
    discards=frozenset({"dpm_2", "dpm_2_ancestral", "dpmpp_3m_sde"}),
)

SIGMA_RULES: dict[str, SigmaRules] = {
    rules.name: rules
    for rules in (
        SigmaRules(
            name="diffusers", about="Diffusers' scheduler of that name, or else k-diffusion's function"
        ),
        AUTOMATIC1111,
        SigmaRules(
            name="forge",
            about="as AUTOMATIC1111, but whole timesteps: backend/modules/k_prediction.py",
            left_alone=AUTOMATIC1111.left_alone,
            chains=AUTOMATIC1111.chains,
            grids=AUTOMATIC1111.grids,
            discards=AUTOMATIC1111.discards,
            rounding="nearest",
        ),
        SigmaRules(
            name="comfy",
            about="ComfyUI: comfy/samplers.py, comfy/model_sampling.py",
            left_alone=frozenset({"plms", "unipc", "deis", "lcm", "tcd", "restart"}),
            grids={
                "ddim_uniform": Grid(whole_stride, "timesteps"),
                "beta": Grid(beta_over_timesteps, "timesteps"),
            },
            discards=frozenset({"dpm_2", "dpm_2_ancestral"}),
            rounding="nearest",
            full_scale=True,
        ),
    )
}
