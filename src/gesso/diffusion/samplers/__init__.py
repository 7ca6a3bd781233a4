"""The samplers gesso knows: a name -> function table, and what each expects of its surroundings.

Importing it does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gesso.diffusion.samplers.ddim import sample_ddim, sample_ddpm
from gesso.diffusion.samplers.dpmpp import sample_dpmpp_2m
from gesso.diffusion.samplers.euler import sample_euler, sample_euler_ancestral
from gesso.diffusion.samplers.heun import sample_heun
from gesso.diffusion.samplers.plms import sample_plms
from gesso.diffusion.samplers.step import Denoise, Noise, Step

__all__ = ["SAMPLERS", "Denoise", "Noise", "Sampler", "Step"]


@dataclass(frozen=True)
class Sampler:
    """A sampler and its habits. Where customs differ they are those of Diffusers' scheduler of that name.

    Attributes:
        name: what requests and files say.
        label: what AUTOMATIC1111 calls it.
        paper: where it comes from.
        function: (denoise, x, sigmas, noise) -> an iterator over `Step`.
        default_schedule: name of the schedule it walks along unless told otherwise.
        order: of its error: halving the steps' size divides it by 2 to this power.
        takes_eta: whether the function has a keyword ``eta``, the share of fresh noise.
        whole_timesteps: whether it counts in the network's training timesteps: it starts from noise of
            unit variance in the network's scale and asks for whole timesteps only. The others follow
            Karras et al.: they start from σ · noise and ask for fractional ones.
        ends_at_zero: whether its last step goes to σ = 0, or to the smallest sigma of training.
        spares_last: whether it counts the end of the walk as a point of the schedule's grid.
    """

    name: str
    label: str
    paper: str
    function: Callable[..., Iterator[Step]]
    default_schedule: str = "uniform"
    order: int = 1
    takes_eta: bool = False
    whole_timesteps: bool = False
    ends_at_zero: bool = True
    spares_last: bool = False


SAMPLERS: dict[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler(
            name="ddim",
            label="DDIM",
            paper="Song et al. 2021",
            function=sample_ddim,
            default_schedule="leading",
            takes_eta=True,
            whole_timesteps=True,
            ends_at_zero=False,
        ),
        Sampler(
            name="ddpm",
            label="DDPM",
            paper="Ho et al. 2020",
            function=sample_ddpm,
            default_schedule="leading",
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
        ),
        Sampler(
            name="euler_ancestral",
            label="Euler a",
            paper="k-diffusion",
            function=sample_euler_ancestral,
            takes_eta=True,
        ),
        Sampler(
            name="heun",
            label="Heun",
            paper="Karras et al. 2022",
            function=sample_heun,
            order=2,
        ),
        Sampler(
            name="dpmpp_2m",
            label="DPM++ 2M",
            paper="Lu et al. 2022",
            function=sample_dpmpp_2m,
            default_schedule="karras",
            order=2,
            whole_timesteps=True,
            spares_last=True,
        ),
    )
}
