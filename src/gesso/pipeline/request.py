"""What to draw: every option of a picture in one frozen, validated, serialisable record."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from os import PathLike
from typing import Any, Self

from PIL.Image import Image

from gesso.config import ModelConfig
from gesso.diffusion.names import resolve_sampler, resolve_schedule
from gesso.diffusion.samplers import SAMPLERS
from gesso.pipeline.basic_fields import DRAWN_SEEDS, check_basics
from gesso.pipeline.fields import check_name, check_whole
from gesso.pipeline.image_rules import steps_from_picture
from gesso.pipeline.margins import Margins
from gesso.pipeline.pictures import Picture
from gesso.pipeline.profiles import find_profile
from gesso.pipeline.prompts import check_prompts, refuse_loras
from gesso.pipeline.reproduction_fields import check_reproduction
from gesso.pipeline.request_json import read_fields, write_fields
from gesso.pipeline.sampling_fields import check_sampling
from gesso.pipeline.task_fields import check_tasks, resolve_tasks

GivenPicture = Picture | Image | str | PathLike[str] | bytes | Mapping[str, Any] | None
GivenMargins = Margins | str | Mapping[str, int] | None


@dataclass(frozen=True)
class GenerationRequest:
    """A picture, or ``count`` of them, to be drawn.

    None in a field means that the model or the sampler decides; ``resolve`` writes down what they decided.

    Attributes:
        prompt: what to draw, in the prompt language (`gesso.text.prompt`); may be empty, at most 32 KB of
            UTF-8.
        negative_prompt: what to steer away from, likewise.
        steps: denoising steps, 1…1000.
        guidance_scale: how far to steer towards the prompt, 0…100; 1 ignores the negative prompt, and
            0 ignores the prompt. None is the model's default.
        sampler: a name of `gesso.diffusion.samplers.SAMPLERS`, or AUTOMATIC1111's label for one. A label
            that ends in a schedule ("DPM++ 2M Karras") sets ``schedule`` too, unless that is given. None is
            the model's.
        schedule: a name of `gesso.diffusion.spacing.SCHEDULES`, or its label. None is the sampler's own.
        seed: 0…2⁶⁴−1, of the first picture; picture i has ``seed + i``. None draws one at random.
        count: how many pictures, 1…10,000.
        batch_size: how many of them are drawn at a time; the pictures are the same for any.
        width: in pixels, a multiple of 8 up to 8192. None is what the model was trained on.
        height: likewise.
        eta: share of fresh noise in each step, 0…1, for samplers that take it. None is the sampler's own.
        s_churn: noise that steps add first, 0…1000 in all, for samplers that take it (Karras et al. 2022).
        s_tmin: add it from this noise level on, 0…10,000.
        s_tmax: and up to this one.
        s_noise: deviation of the fresh noise, 0…2, for samplers that take it; None is 1.
        guidance_rescale: how far to bring guided pictures back to the contrast of unguided ones, 0…1 (Lin
            et al. 2024).
        guidance_interval: (low, high) noise levels between which to guide (Kynkäänniemi et al. 2024); steps
            outside cost half. None guides everywhere.
        pag_scale: how far to steer away from pictures without structure, 0 (not at all) … 100: perturbed-
            attention guidance (Ahn et al. 2024), with or without a guidance scale; steps cost half as much
            again with one, twice as much without.
        pag_layers: where structure is perturbed for it, any of "mid", "down.0", "up.1", …, or single
            transformers such as "up.1.2" (`gesso.pipeline.layers`).
        sag_scale: how far to steer away from pictures that are blurred where the network looks, 0 (not at
            all) … 10: self-attention guidance (Hong et al. 2023), at the same cost.
        freeu: (b1, b2, s1, s2), 0…10: how much of its own work, and of the skips, the UNet reads in the
            first and second block of its way up (Si et al. 2024). None is as it was trained.
        clip_skip: which of the text encoder's layers to read, counted from the last: 1 is the last, 2 the
            one before it.
        emphasis: the way of applying the prompts' weights, a name of `gesso.text.emphasis.EMPHASES`:
            "a1111", "no_norm", "comfy", "compel" or "ignore". "none" takes prompts literally, as Diffusers
            does: brackets are text.
        comma_backtrack: of a prompt of more than 75 tokens, how many go together into the next chunk where
            a comma is before them, 0…75. AUTOMATIC1111 has 20.
        noise_source: what draws the noise: "cpu" (PyTorch's generator there), "cuda" (the one it has on
            NVIDIA GPUs, computed on the CPU), or "cpu_then_cuda" (the start from the one, the steps from
            the other, which begins with the same seed).
        eta_seed_delta: if not 0, the noise that steps add is drawn from the seed + this.
        batch_index: all pictures are of the first one's seed, and drawn as one tensor, of which the first
            is in this place, 0…4095. None is a seed a picture.
        sigma_rules: whose customs the noise levels follow: "diffusers", "a1111", "forge" or "comfy"
            (`gesso.diffusion.rules.SIGMA_RULES`).
        discard_penultimate: whether to space one noise level more and leave the last but one out. None is
            as the rules have it for the sampler.
        image_rules: whose customs a walk from a picture follows: how many steps it has
            (`gesso.pipeline.image_rules`), and whether the picture's latents are drawn from their
            posterior ("diffusers") or its mean ("a1111", "comfy").
        prompt_timing: what ``[from:to:when]`` and ``[a|b]`` count: "steps", or "calls" of the network from
            0, so that they change one later (`gesso.text.prompt`).
        pad_prompts: whether prompt and negative prompt are filled up with empty chunks to one length.
        deep_cache: compute the deep layers of the UNet at every N-th call only, 1 (every one) … 20: faster,
            and another picture (`gesso.engine.deep_cache`).
        token_merging: share of the pixels that are merged with similar ones before the largest
            self-attentions, 0 (none) … 0.75: faster, and another picture (`gesso.engine.token_merging`).
        image: a picture to start from: a file's path, its bytes, or a PIL image. None draws from text.
        strength: how much of it may change, in (0, 1]: the share of the steps that are walked. None is 0.8,
            and 1 where there is a mask.
        fit: how it gets the size that is drawn: "resize", "crop" or "pad". Where width and height are
            None, the size is the picture's own, rounded down to multiples of 8.
        mask: of the picture, white where it is repainted; every other pixel stays what it was.
        mask_blur: pixels inside the mask's edge over which new and old mix, 0…256.
        expand: how far the picture grows on each side, in multiples of 8: {"left": 128}, or "left=128".
            The new part is painted; width and height are those of the whole.
        only_masked: draw only what is around the mask, at width × height, and put it back in its size.
        mask_padding: pixels around the mask that are drawn with it then, 0…2048.
        variation_seed: of the noise that varies the picture's own, which then all ``count`` pictures
            share: picture i has ``variation_seed + i`` in place of ``seed + i``. None draws one.
        variation_strength: how much of that noise there is, 0 (none) … 1.
        seed_resize: (width, height) in pixels of another size that this seed drew: that noise is put in
            the middle, so that the pictures are alike.
        tiling: "x", "y" or "both": directions in which the picture repeats without a seam.
        hires_scale: draw in two passes, the second this many times as large, 1…8. None is one pass.
        hires_steps: of the second pass; None is as many as ``steps``.
        hires_strength: of the second pass, as ``strength``.
        hires_upscaler: what enlarges in between: a name of `gesso.pipeline.upscalers.UPSCALERS`, or
            AUTOMATIC1111's label, or the file of an ESRGAN-like network.

    Raises:
        RequestError: a value cannot be drawn; ``where`` is the field (a `PromptError` for the prompts).
        ImageError: a picture cannot be read.
    """

    prompt: str
    _: KW_ONLY
    negative_prompt: str = ""
    steps: int = 20
    guidance_scale: float | None = None
    sampler: str | None = None
    schedule: str | None = None
    seed: int | None = None
    count: int = 1
    batch_size: int = 1
    width: int | None = None
    height: int | None = None
    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    guidance_rescale: float = 0.0
    guidance_interval: tuple[float, float] | None = None
    pag_scale: float = 0.0
    pag_layers: tuple[str, ...] = ("mid",)
    sag_scale: float = 0.0
    freeu: tuple[float, float, float, float] | None = None
    clip_skip: int = 1
    emphasis: str = "a1111"
    comma_backtrack: int = 0
    noise_source: str = "cpu"
    eta_seed_delta: int = 0
    batch_index: int | None = None
    sigma_rules: str = "diffusers"
    discard_penultimate: bool | None = None
    image_rules: str = "diffusers"
    prompt_timing: str = "steps"
    pad_prompts: bool = True
    deep_cache: int = 1
    token_merging: float = 0.0
    image: GivenPicture = None
    strength: float | None = None
    fit: str = "resize"
    mask: GivenPicture = None
    mask_blur: int = 4
    expand: GivenMargins = None
    only_masked: bool = False
    mask_padding: int = 32
    variation_seed: int | None = None
    variation_strength: float = 0.0
    seed_resize: tuple[int, int] | None = None
    tiling: str | None = None
    hires_scale: float | None = None
    hires_steps: int | None = None
    hires_strength: float = 0.7
    hires_upscaler: str = "latent"

    def __post_init__(self) -> None:
        self._keep(check_basics(self))
        self._check_sampler()
        self._keep(check_reproduction(self))
        self._keep(check_tasks(self))
        check_prompts(self)

    @classmethod
    def like(cls, program: str, prompt: str, **fields: Any) -> Self:
        """A request that draws as a program of `gesso.pipeline.profiles`, in what the fields leave open.

        Raises:
            RequestError: the program is unknown, or a value cannot be drawn.
        """
        return cls(**find_profile(program).fill({"prompt": prompt, **fields}))

    def _check_sampler(self) -> None:
        sampler, schedule = None, None
        if self.sampler is not None:
            sampler, schedule = resolve_sampler(check_name(self.sampler, "sampler"))
        if self.schedule is not None:
            schedule = resolve_schedule(check_name(self.schedule, "schedule"))
        self._keep({"sampler": sampler and sampler.name, "schedule": schedule and schedule.name})
        self._keep(check_sampling(self, sampler))

    def _keep(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen for everyone else

    def resolve(self, config: ModelConfig) -> ResolvedRequest:
        """Fill in what the model and the sampler decide, so that the request gives the same pictures again.

        A seed that is None is drawn here, below 2³². Resolving twice changes nothing.

        Raises:
            RequestError: the model cannot draw that size, that many steps, or has not that many layers.
        """
        refuse_loras(self)
        check_whole(self.steps, "steps", 1, config.noise.steps)
        check_whole(self.clip_skip, "clip_skip", 1, config.text_encoder.layers)
        sampler = self.sampler or config.sampler
        decided = {
            "seed": secrets.randbelow(DRAWN_SEEDS - self.count) if self.seed is None else self.seed,
            "guidance_scale": config.guidance_scale if self.guidance_scale is None else self.guidance_scale,
            "sampler": sampler,
            "schedule": self.schedule or SAMPLERS[sampler].default_schedule,
            **resolve_tasks(self, config),
        }
        return ResolvedRequest(**{**self._values(), **decided})

    @property
    def seed_stride(self) -> int:
        """How far the seeds of one picture and the next are apart: variations and batches share one."""
        return 1 if self.variation_strength == 0 and self.batch_index is None else 0

    def to_json(self) -> dict[str, Any]:
        """The request as JSON values, with the version of its format."""
        return write_fields(self._values())

    def _values(self) -> dict[str, Any]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The request that ``to_json`` wrote; fields left out have their defaults.

        A field ``like``, which no request keeps, names the program whose profile fills in what is left out
        (`gesso.pipeline.profiles`).

        Raises:
            RequestError: it is not an object, of a later version, or has an unknown field; or the program
                is unknown.
        """
        return cls(**read_fields(value, [entry.name for entry in fields(cls)]))


@dataclass(frozen=True)
class ResolvedRequest(GenerationRequest):
    """A request that leaves nothing open: the same model gives the same pictures again."""

    _: KW_ONLY
    guidance_scale: float = field()
    sampler: str = field()
    schedule: str = field()
    seed: int = field()
    width: int = field()
    height: int = field()
    image: Picture | None = None
    mask: Picture | None = None
    expand: Margins | None = None

    @property
    def walked_steps(self) -> int:
        """Steps of the (first) walk: those of ``planned_steps`` that ``strength`` leaves."""
        return self._first_steps[1]

    @property
    def planned_steps(self) -> int:
        """Steps that the (first) walk is planned over, of which the last are walked."""
        return self._first_steps[0]

    @property
    def _first_steps(self) -> tuple[int, int]:
        if self.strength is None:
            return self.steps, self.steps
        return steps_from_picture(self.steps, self.strength, self.image_rules)

    @property
    def second_steps(self) -> int:
        """Steps of the second walk, if there is one."""
        if self.hires_scale is None:
            return 0
        steps = self.hires_steps or self.steps
        return steps_from_picture(steps, self.hires_strength, self.image_rules, second=True)[1]

    def seed_of(self, index: int) -> int:
        """The seed of picture ``index``, 0…count−1."""
        return self.seed + self.seed_stride * index

    def picture(self, index: int) -> ResolvedRequest:
        """The request that draws picture ``index`` alone."""
        return self._part(index, count=1, batch_size=1)

    def _part(self, start: int, **changes: Any) -> ResolvedRequest:
        varied = None if self.variation_seed is None else self.variation_seed + start
        place = None if self.batch_index is None else self.batch_index + start
        return replace(self, seed=self.seed_of(start), variation_seed=varied, batch_index=place, **changes)

    def batches(self) -> Iterator[ResolvedRequest]:
        """Requests of ``batch_size`` pictures and fewer, which together draw the same pictures."""
        for start in range(0, self.count, self.batch_size):
            count = min(self.batch_size, self.count - start)
            yield self._part(start, count=count)
