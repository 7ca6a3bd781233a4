"""What a request has to say so that it draws as another program does.

`docs/reproduction.md` has the table, with the file of the other program each line is from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from gesso.diffusion.names import resolve_sampler
from gesso.errors import RequestError
from gesso.pipeline.fields import check_name


@dataclass(frozen=True)
class Profile:
    """A program.

    Attributes:
        name: what ``like`` and ``--like`` say.
        about: the program, and which of it.
        customs: fields of a request that say how it draws; they say the same of any picture of its.
        defaults: fields that it leaves to people, as it suggests them.
        last_layer: what its clip skip calls the text encoder's last layer, which is 1 for gesso.
    """

    name: str
    about: str
    customs: Mapping[str, Any]
    defaults: Mapping[str, Any]
    last_layer: int = 1

    def fill(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields given, and the program's own where they leave them open."""
        filled = {**self.customs, **self.defaults, **fields}
        sampler = fields.get("sampler")
        if (
            isinstance(sampler, str)
            and "schedule" not in fields
            and resolve_sampler(sampler)[1] is not None
        ):
            del filled["schedule"]  # the sampler's label names one
        if "clip_skip" in fields:
            filled["clip_skip"] = self.layer(fields["clip_skip"])
        return filled

    def layer(self, clip_skip: Any) -> Any:
        """The program's clip skip as gesso counts it."""
        if not isinstance(clip_skip, int) or isinstance(clip_skip, bool):
            return clip_skip  # for the request to refuse
        if self.last_layer < 0:
            return abs(clip_skip)
        return clip_skip + 1 - self.last_layer


A1111_CUSTOMS: dict[str, Any] = {
    "noise_source": "cuda",
    "eta_seed_delta": 0,
    "batch_index": None,
    "sigma_rules": "a1111",
    "discard_penultimate": None,
    "image_rules": "a1111",
    "prompt_timing": "calls",
    "pad_prompts": False,
    "emphasis": "a1111",
    "comma_backtrack": 20,
}

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="a1111",
            about="AUTOMATIC1111's web UI 1.6 to 1.10 on an NVIDIA GPU, its settings untouched",
            customs=A1111_CUSTOMS,
            defaults={"sampler": "dpmpp_2m", "schedule": None, "steps": 20, "guidance_scale": 7.0},
        ),
        Profile(
            name="forge",
            about="Forge, and reForge, on an NVIDIA GPU, its settings untouched",
            customs={**A1111_CUSTOMS, "sigma_rules": "forge"},
            defaults={"sampler": "euler_ancestral", "schedule": None, "steps": 20, "guidance_scale": 7.0},
        ),
        Profile(
            name="comfyui",
            about="ComfyUI's default graph, with KSampler, on an NVIDIA GPU",
            customs={
                "noise_source": "cpu_then_cuda",
                "eta_seed_delta": 0,
                "batch_index": 0,
                "sigma_rules": "comfy",
                "discard_penultimate": None,
                "image_rules": "comfy",
                "prompt_timing": "steps",
                "pad_prompts": False,
                "emphasis": "comfy",
                "comma_backtrack": 0,
            },
            defaults={"sampler": "euler", "schedule": "normal", "steps": 20, "guidance_scale": 8.0},
            last_layer=-1,
        ),
        Profile(
            name="diffusers",
            about="Diffusers' pipelines, given torch.Generator('cpu')",
            customs={
                "noise_source": "cpu",
                "eta_seed_delta": 0,
                "batch_index": None,
                "sigma_rules": "diffusers",
                "discard_penultimate": None,
                "image_rules": "diffusers",
                "prompt_timing": "steps",
                "pad_prompts": True,
                "emphasis": "none",
                "comma_backtrack": 0,
            },
            defaults={"sampler": "plms", "schedule": None, "steps": 50, "guidance_scale": 7.5},
            last_layer=0,
        ),
    )
}


def find_profile(name: object) -> Profile:
    """The profile of a program.

    Raises:
        RequestError: there is none of that name; the message lists them.
    """
    asked = check_name(name, "like").casefold()
    if asked not in PROFILES:
        nearest = get_close_matches(asked, PROFILES, n=1)
        meant = f'Did you mean "{nearest[0]}"? ' if nearest else ""
        raise RequestError(
            f'no profile is called "{asked[:60]}"',
            f"{meant}There are: {', '.join(PROFILES)}.",
            where="like",
        )
    return PROFILES[asked]
