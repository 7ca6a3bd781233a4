"""The samplers gesso knows: a name -> function table, and what each expects of its surroundings.

Importing it does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from gesso.diffusion.samplers.consistency import sample_lcm, sample_tcd
from gesso.diffusion.samplers.ddim import sample_ddim, sample_ddpm
from gesso.diffusion.samplers.deis import sample_deis
from gesso.diffusion.samplers.dpm_2 import sample_dpm_2, sample_dpm_2_ancestral
from gesso.diffusion.samplers.dpmpp import sample_dpmpp_2m, sample_dpmpp_2s_ancestral
from gesso.diffusion.samplers.dpmpp_sde import (
    sample_dpmpp_2m_sde,
    sample_dpmpp_2m_sde_heun,
    sample_dpmpp_3m_sde,
    sample_dpmpp_sde,
)
from gesso.diffusion.samplers.euler import sample_euler, sample_euler_ancestral
from gesso.diffusion.samplers.heun import sample_heun
from gesso.diffusion.samplers.lms import sample_lms
from gesso.diffusion.samplers.plms import sample_plms
from gesso.diffusion.samplers.restart import sample_restart
from gesso.diffusion.samplers.step import Denoise, Noise, NoiseBetween, Step
from gesso.diffusion.samplers.unipc import sample_unipc

__all__ = ["OPTIONS", "SAMPLERS", "Denoise", "Noise", "NoiseBetween", "Sampler", "Step"]

OPTIONS: dict[str, tuple[float, float]] = {
    "eta": (0.0, 1.0),
    "s_churn": (0.0, 1000.0),
    "s_tmin": (0.0, 10_000.0),
    "s_tmax": (0.0, 10_000.0),
    "s_noise": (0.0, 2.0),
}
"""The numbers a sampler may take, as keywords of its function, and from where to where they go."""

ANCESTRAL = frozenset({"eta", "s_noise"})
CHURN = frozenset({"s_churn", "s_tmin", "s_tmax", "s_noise"})


@dataclass(frozen=True)
class Sampler:
    """A sampler and its habits. Where customs differ they are those of Diffusers' scheduler of that name.

    Attributes:
        name: what requests and files say.
        label: what AUTOMATIC1111 calls it.
        paper: where it comes from.
        function: (denoise, x, sigmas, noise) -> an iterator over `Step`.
        default_schedule: name of the schedule it walks along unless told otherwise.
        order: of its steps: halving them divides their error by 2 to this power, and once more. Methods
            that remember start, and may end, with lower ones.
        calls: of the network a step, but for the last.
        kind: what noise it adds unless told otherwise: none ("deterministic"), fresh noise that is drawn
            anew each time ("ancestral"), or that of one Brownian motion ("SDE").
        options: which of `OPTIONS` its function has as keywords.
        whole_timesteps: whether it counts in the network's training timesteps: it starts from noise of
            unit variance in the network's scale and asks for whole timesteps only. The others follow
            Karras et al.: they start from σ · noise and ask for fractional ones.
        ends_at_zero: whether its last step goes to σ = 0, or to the smallest sigma of training.
        spares_last: whether it counts the end of the walk as a point of the schedule's grid.
        knows_timesteps: whether the function has a keyword ``noise_schedule``, which a `Plan` fills in.
    """

    name: str
    label: str
    paper: str
    function: Callable[..., Iterator[Step]]
    default_schedule: str = "uniform"
    order: int = 1
    calls: int = 1
    kind: Literal["deterministic", "ancestral", "SDE"] = "deterministic"
    options: frozenset[str] = frozenset()
    whole_timesteps: bool = False
    ends_at_zero: bool = True
    spares_last: bool = False
    knows_timesteps: bool = False


SAMPLERS: dict[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler(
            name="ddim",
            label="DDIM",
            paper="Song et al. 2021",
            function=sample_ddim,
            default_schedule="leading",
            options=frozenset({"eta"}),
            whole_timesteps=True,
            ends_at_zero=False,
        ),
        Sampler(
            name="ddpm",
            label="DDPM",
            paper="Ho et al. 2020",
            function=sample_ddpm,
            default_schedule="leading",
            kind="ancestral",
            whole_timesteps=True,
        ),
        Sampler(
            name="plms",
            label="PLMS",
            paper="Liu et al. 2022",
            function=sample_plms,
            default_schedule="leading",
            order=2,
            whole_timesteps=True,
            ends_at_zero=False,
        ),
        Sampler(
            name="euler",
            label="Euler",
            paper="Karras et al. 2022",
            function=sample_euler,
            options=CHURN,
        ),
        Sampler(
            name="euler_ancestral",
            label="Euler a",
            paper="k-diffusion",
            function=sample_euler_ancestral,
            kind="ancestral",
            options=ANCESTRAL,
        ),
        Sampler(
            name="heun",
            label="Heun",
            paper="Karras et al. 2022",
            function=sample_heun,
            order=2,
            calls=2,
            options=CHURN,
        ),
        Sampler(
            name="lms",
            label="LMS",
            paper="k-diffusion",
            function=sample_lms,
            order=4,
        ),
        Sampler(
            name="dpm_2",
            label="DPM2",
            paper="Lu et al. 2022a",
            function=sample_dpm_2,
            default_schedule="karras",
            order=2,
            calls=2,
            options=CHURN,
        ),
        Sampler(
            name="dpm_2_ancestral",
            label="DPM2 a",
            paper="k-diffusion",
            function=sample_dpm_2_ancestral,
            default_schedule="karras",
            order=2,
            calls=2,
            kind="ancestral",
            options=ANCESTRAL,
        ),
        Sampler(
            name="dpmpp_2s_ancestral",
            label="DPM++ 2S a",
            paper="Lu et al. 2022b",
            function=sample_dpmpp_2s_ancestral,
            default_schedule="karras",
            order=2,
            calls=2,
            kind="ancestral",
            options=ANCESTRAL,
        ),
        Sampler(
            name="dpmpp_sde",
            label="DPM++ SDE",
            paper="Lu et al. 2022b",
            function=sample_dpmpp_sde,
            default_schedule="karras",
            order=2,
            calls=2,
            kind="SDE",
            options=ANCESTRAL,
        ),
        Sampler(
            name="dpmpp_2m",
            label="DPM++ 2M",
            paper="Lu et al. 2022b",
            function=sample_dpmpp_2m,
            default_schedule="karras",
            order=2,
            whole_timesteps=True,
            spares_last=True,
        ),
        Sampler(
            name="dpmpp_2m_sde",
            label="DPM++ 2M SDE",
            paper="Lu et al. 2022b",
            function=sample_dpmpp_2m_sde,
            default_schedule="exponential",
            order=2,
            kind="SDE",
            options=ANCESTRAL,
        ),
        Sampler(
            name="dpmpp_2m_sde_heun",
            label="DPM++ 2M SDE Heun",
            paper="k-diffusion",
            function=sample_dpmpp_2m_sde_heun,
            default_schedule="exponential",
            order=2,
            kind="SDE",
            options=ANCESTRAL,
        ),
        Sampler(
            name="dpmpp_3m_sde",
            label="DPM++ 3M SDE",
            paper="k-diffusion",
            function=sample_dpmpp_3m_sde,
            default_schedule="exponential",
            order=3,
            kind="SDE",
            options=ANCESTRAL,
        ),
        Sampler(
            name="unipc",
            label="UniPC",
            paper="Zhao et al. 2023",
            function=sample_unipc,
            order=3,
            whole_timesteps=True,
            spares_last=True,
        ),
        Sampler(
            name="deis",
            label="DEIS",
            paper="Zhang and Chen 2023",
            function=sample_deis,
            order=2,
            whole_timesteps=True,
            ends_at_zero=False,
            spares_last=True,
        ),
        Sampler(
            name="lcm",
            label="LCM",
            paper="Luo et al. 2023",
            function=sample_lcm,
            default_schedule="trailing",
            kind="ancestral",
            whole_timesteps=True,
            knows_timesteps=True,
        ),
        Sampler(
            name="tcd",
            label="TCD",
            paper="Zheng et al. 2024",
            function=sample_tcd,
            default_schedule="trailing",
            kind="ancestral",
            options=frozenset({"eta"}),
            whole_timesteps=True,
            ends_at_zero=False,
            knows_timesteps=True,
        ),
        Sampler(
            name="restart",
            label="Restart",
            paper="Xu et al. 2023",
            function=sample_restart,
            default_schedule="karras",
            order=2,
            calls=2,
            kind="ancestral",
            options=frozenset({"s_noise"}),
        ),
    )
}
