"""Requests like AUTOMATIC1111, Forge or ComfyUI end where those programs' own loops would.

Their loops are written here once more, around k-diffusion's samplers and the model that gesso draws with:
their noise levels, timesteps, noise, contexts and steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from k_diffusion_samplers import SAMPLERS_OF_K_DIFFUSION, load_k_diffusion
from PIL import Image
from scipy.stats import beta as beta_distribution
from torch import Tensor
from torch.nn.functional import interpolate

import gesso
from gesso.diffusion.philox import PhiloxGenerator
from gesso.diffusion.plan import make_plan
from gesso.diffusion.samplers import SAMPLERS
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.spacing import SCHEDULES
from gesso.errors import RequestError
from gesso.pipeline.images import from_pil
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import GenerationRequest
from gesso.text.conditioning import encode_prompts

pytestmark = pytest.mark.filterwarnings("ignore:Should have ta>=t0:UserWarning")

TOLERANCE = 1e-4
SDE_TOLERANCE = 5e-4
"""Brownian motions are asked at times of which one side rounds the last digits."""
LONG = "a red house, " * 18
PROMPT, NEGATIVE = f"{LONG} beside a pine tree", "at night"
SEED, STEPS, SCALE = 7, 5, 3.0
DISCARDING = {
    "a1111": ("dpm_2", "dpm_2_ancestral", "dpmpp_3m_sde"),
    "forge": ("dpm_2", "dpm_2_ancestral", "dpmpp_3m_sde"),
    "comfyui": ("dpm_2", "dpm_2_ancestral"),
}
RULES = {"a1111": "a1111", "forge": "forge", "comfyui": "comfy"}

ALPHAS_CUMPROD = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, dim=0)
SIGMAS = ((1 - ALPHAS_CUMPROD) / ALPHAS_CUMPROD).sqrt().double()
LOG_SIGMAS = SIGMAS.log()


K = load_k_diffusion()


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu", engine="plain")


def relative_error(one: Tensor, other: Tensor) -> float:
    return float((one - other).double().norm() / other.double().norm())


# --- noise levels -------------------------------------------------------------------------------------


def t_to_sigma(t: Sequence[float] | Tensor) -> Tensor:
    """k-diffusion's and ComfyUI's: straight in log σ between whole timesteps."""
    return torch.from_numpy(np.exp(np.interp(np.asarray(t), np.arange(1000), LOG_SIGMAS.numpy())))


def sigma_to_t(sigma: Tensor) -> float:
    return float(np.interp(float(sigma.log()), LOG_SIGMAS.numpy(), np.arange(1000)))


def nearest_t(sigma: Tensor) -> float:
    """ComfyUI's and Forge's: the timestep whose log σ is nearest."""
    return float((LOG_SIGMAS - sigma.log()).abs().argmin())


def zero_ended(sigmas: Any) -> Tensor:
    return torch.cat([torch.as_tensor(sigmas, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])


AYS = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
LOW, HIGH = float(SIGMAS[0]), float(SIGMAS[-1])


def quantiles(places: Any) -> Any:
    return beta_distribution.ppf(places, 0.6, 0.6)


COMMON: dict[str, Callable[[int], Tensor]] = {
    "karras": lambda n: K.get_sigmas_karras(n, LOW, HIGH).double(),
    "exponential": lambda n: K.get_sigmas_exponential(n, LOW, HIGH).double(),
    "sgm_uniform": lambda n: zero_ended(t_to_sigma(np.linspace(999, 0, n + 1)[:-1])),
    "normal": lambda n: zero_ended(t_to_sigma(np.linspace(999, 0, n))),
    "simple": lambda n: zero_ended([SIGMAS[-(1 + int(k * (1000 / n)))] for k in range(n)]),
    "ddim_uniform": lambda n: zero_ended(SIGMAS[1 :: max(1000 // n, 1)].flip(0)),
}
A1111: dict[str, Callable[[int], Tensor]] = COMMON | {
    "uniform": COMMON["normal"],
    "polyexponential": lambda n: K.get_sigmas_polyexponential(n, LOW, HIGH).double(),
    "beta": lambda n: zero_ended(LOW + quantiles(1 - np.linspace(0, 1, n)) * (HIGH - LOW)),
    "ays": lambda n: zero_ended(
        np.exp(np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 11), np.log(AYS)))
    ),
    "kl_optimal": lambda n: torch.tan(
        torch.arange(n + 1).double() / n * math.atan(LOW)
        + (1 - torch.arange(n + 1).double() / n) * math.atan(HIGH)
    ),
}
COMFYUI: dict[str, Callable[[int], Tensor]] = COMMON | {
    "beta": lambda n: zero_ended(
        SIGMAS[list(dict.fromkeys(np.rint(quantiles(1 - np.arange(n) / n) * 999).astype(int).tolist()))]
    ),
    "kl_optimal": lambda n: zero_ended(np.tan(np.linspace(math.atan(HIGH), math.atan(LOW), n))),
}
SPACED = {"a1111": A1111, "forge": A1111, "comfyui": COMFYUI}


def sigmas_of(program: str, sampler: str, schedule: str, steps: int) -> Tensor:
    """With one point more and the last but one dropped, for the samplers that want it so."""
    if sampler not in DISCARDING[program]:
        return SPACED[program][schedule](steps)
    sigmas = SPACED[program][schedule](steps + 1)
    return torch.cat([sigmas[:-2], sigmas[-1:]])


@pytest.mark.parametrize("steps", [2, 7, 11, 20, 30, 33])
@pytest.mark.parametrize("sampler", ["euler", "dpm_2", "dpmpp_2m", "dpmpp_3m_sde"])
@pytest.mark.parametrize("program", SPACED)
def test_noise_levels(program: str, sampler: str, steps: int) -> None:
    for schedule in SPACED[program]:
        plan = make_plan(
            SAMPLERS[sampler], SCHEDULES[schedule], NoiseSchedule(), steps, rules=RULES[program]
        )
        expected = sigmas_of(program, sampler, schedule, steps)
        assert torch.allclose(plan.sigmas.double(), expected, rtol=2e-5, atol=1e-6), schedule


def test_penultimate_sigma_can_be_discarded_and_kept() -> None:
    """AUTOMATIC1111's "Always discard next-to-last sigma", and its opposite."""

    def sigmas(sampler: str, discard: bool | None) -> Tensor:
        schedule = SCHEDULES["karras"]
        plan = make_plan(
            SAMPLERS[sampler], schedule, NoiseSchedule(), 6, rules="a1111", discard_penultimate=discard
        )
        return plan.sigmas

    assert torch.equal(sigmas("euler", True), sigmas("dpm_2", None))
    assert torch.equal(sigmas("dpm_2", False), sigmas("euler", None))


# --- whole walks --------------------------------------------------------------------------------------


class Reference:
    """A program's loop around the pipeline's own networks."""

    def __init__(self, pipe: Pipeline, program: str, request: GenerationRequest) -> None:
        self.pipe, self.program, self.request = pipe, program, request
        self.calls = 0
        self.whole = program != "a1111"
        self.contexts = [
            encode_prompts(
                pipe.text_encoder,
                pipe.tokenizer,
                [text],
                emphasis=request.emphasis,
                comma_backtrack=request.comma_backtrack,
            )
            for text in (PROMPT, NEGATIVE)
        ]
        assert self.contexts[0].shape[1] > self.contexts[1].shape[1]

    def eps(self, x: Tensor, t: float) -> Tensor:
        """Guided, from two calls of the network with contexts as long as each prompt is."""
        timesteps = torch.full((len(x),), t)
        found = [self.pipe.unet(x.float(), timesteps, context).double() for context in self.contexts]
        self.calls += 1
        return found[1] + SCALE * (found[0] - found[1])

    def __call__(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        t = nearest_t(sigma[0]) if self.whole else sigma_to_t(sigma[0])
        return x - sigma[0] * self.eps(x / (sigma[0] ** 2 + 1).sqrt(), t)

    def walk(self, sampler: str, x: Tensor, sigmas: Tensor, noise: Callable[[], Tensor]) -> Tensor:
        options: dict[str, Any] = {}
        if SAMPLERS[sampler].kind == "SDE":
            seed: Any = SEED if self.program == "comfyui" else [SEED]
            low, high = float(sigmas[sigmas > 0].min()), float(sigmas.max())
            options["noise_sampler"] = K.BrownianTreeNoiseSampler(x.float(), low, high, seed=seed)
        with drawing(noise):
            return getattr(K, f"sample_{sampler}")(self, x, sigmas, disable=True, **options)


@contextmanager
def drawing(noise: Callable[[], Tensor]) -> Iterator[None]:
    """k-diffusion draws from ``torch.randn_like``, which AUTOMATIC1111 replaces too."""
    patched = ModuleType("torch")
    patched.__dict__.update(vars(torch))
    vars(patched)["randn_like"] = lambda _: noise().double()
    K.torch = patched
    try:
        yield
    finally:
        K.torch = torch


def stream(seed: int, shape: Sequence[int] = (1, 4, 8, 8)) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=generator)


def gpu_stream(seed: int, shape: Sequence[int] = (1, 4, 8, 8)) -> Callable[[], Tensor]:
    generator = PhiloxGenerator(seed)
    return lambda: generator.normal(shape)


def asked(program: str, **fields: object) -> GenerationRequest:
    """On the CPU's noise where the program can, so that nothing of the reference is gesso's."""
    ours = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "like": program, "seed": SEED}
    own = {} if program == "comfyui" else {"noise_source": "cpu"}
    return GenerationRequest.from_json(
        {**ours, **own, "steps": STEPS, "guidance_scale": SCALE, "width": 64, "height": 64, **fields}
    )


def drawn(pipe: Pipeline, request: GenerationRequest) -> Tensor:
    *_, last = pipe.stream(request)
    return last.latents


@pytest.mark.parametrize("sampler", SAMPLERS_OF_K_DIFFUSION)
@pytest.mark.parametrize("program", SPACED)
@torch.inference_mode()
def test_pictures_from_text(pipe: Pipeline, program: str, sampler: str) -> None:
    schedule = "karras" if sampler != "euler" else "sgm_uniform"
    request = asked(program, sampler=sampler, schedule=schedule)
    sigmas = sigmas_of(program, sampler, schedule, STEPS)
    noise = stream(SEED)
    scale = (1 + sigmas[0] ** 2).sqrt() if program == "comfyui" else sigmas[0]
    x = noise().double() * scale
    if program == "comfyui":
        noise = gpu_stream(SEED)
    expected = Reference(pipe, program, request).walk(sampler, x, sigmas, noise)
    tolerance = SDE_TOLERANCE if SAMPLERS[sampler].kind == "SDE" else TOLERANCE
    assert relative_error(drawn(pipe, request), expected) <= tolerance


@torch.inference_mode()
def test_eta_noise_seed_delta(pipe: Pipeline) -> None:
    request = asked("a1111", sampler="euler_ancestral", eta_seed_delta=31337)
    sigmas = sigmas_of("a1111", "euler_ancestral", "uniform", STEPS)
    x = stream(SEED)().double() * sigmas[0]
    reference = Reference(pipe, "a1111", request)
    expected = reference.walk("euler_ancestral", x, sigmas, stream(SEED + 31337))
    assert relative_error(drawn(pipe, request), expected) <= TOLERANCE


@pytest.mark.parametrize("sampler", ["ddim", "plms"])
@pytest.mark.parametrize("steps", [6, 7])
@torch.inference_mode()
def test_ddim_and_plms_of_a1111(pipe: Pipeline, sampler: str, steps: int) -> None:
    """Their last timestep is where they end; where steps do not divide 1000, there is one more."""
    request = asked("a1111", sampler=sampler, steps=steps)
    reference = Reference(pipe, "a1111", request)
    timesteps = [t + 1 for t in range(0, 1000, 1000 // steps)]
    x = stream(SEED)().double()
    past: list[Tensor] = []

    def moved(x: Tensor, eps: Tensor, index: int) -> Tensor:
        alpha, before = (ALPHAS_CUMPROD[timesteps[i]].double() for i in (index, index - 1))
        clean = (x - (1 - alpha).sqrt() * eps) / alpha.sqrt()
        return before.sqrt() * clean + (1 - before).sqrt() * eps

    for index in range(len(timesteps) - 1, 0, -1):
        eps = reference.eps(x, timesteps[index])
        slope = eps
        if sampler == "plms":
            past = [eps, *past][:4]
            if len(past) == 1:
                slope = (eps + reference.eps(moved(x, eps, index), timesteps[index - 1])) / 2
            else:
                weights = {2: (3, -1), 3: (23, -16, 5), 4: (55, -59, 37, -9)}[len(past)]
                slope = sum(w * each for w, each in zip(weights, past, strict=True)) / sum(weights)
        x = moved(x, slope, index)
    assert relative_error(drawn(pipe, request), x) <= TOLERANCE
    assert reference.calls == len(timesteps) - 1 + (sampler == "plms")


@pytest.mark.parametrize("program", SPACED)
@pytest.mark.parametrize("strength", [0.55, 1.0])
@torch.inference_mode()
def test_pictures_from_pictures(pipe: Pipeline, program: str, strength: float) -> None:
    """How many steps are walked, from the mean of the picture's posterior, with the seed's first noise."""
    picture = Image.effect_noise((64, 64), 50).convert("RGB")
    request = asked(program, sampler="euler", schedule="karras", image=picture, strength=strength)
    latents = pipe.autoencoder.encode(from_pil(picture), torch.zeros(1, 4, 8, 8)).double()
    if program == "comfyui":
        planned = STEPS if strength == 1 else int(STEPS / strength)
        sigmas = sigmas_of(program, "euler", "karras", planned)[-(STEPS + 1) :]
    else:
        t_enc = int(min(strength, 0.999) * STEPS)
        sigmas = sigmas_of(program, "euler", "karras", STEPS)[STEPS - t_enc - 1 :]
    x = latents + sigmas[0] * stream(SEED)()
    expected = Reference(pipe, program, request).walk("euler", x, sigmas, stream(0))
    assert request.resolve(pipe.config).walked_steps == len(sigmas) - 1
    assert relative_error(drawn(pipe, request), expected) <= TOLERANCE


@torch.inference_mode()
def test_two_passes_of_a1111(pipe: Pipeline) -> None:
    """The second walks as many steps as are asked for, from the noise the seed has at the larger size."""
    request = asked("a1111", sampler="euler_ancestral", hires_scale=1.5, hires_steps=4, hires_strength=0.7)
    reference = Reference(pipe, "a1111", request)
    sigmas, noise = A1111["uniform"](STEPS), stream(SEED)
    x = reference.walk("euler_ancestral", noise().double() * sigmas[0], sigmas, noise)
    x = interpolate(x.float(), size=(12, 12), mode="bilinear").double()
    again = A1111["uniform"](int(4 / 0.7))[-5:]
    noise = stream(SEED, (1, 4, 12, 12))
    x = reference.walk("euler_ancestral", x + again[0] * noise(), again, noise)
    assert relative_error(drawn(pipe, request), x) <= TOLERANCE


@pytest.mark.parametrize(("sampler", "calls"), [("euler", 5), ("heun", 9)])
def test_prompts_change_one_call_late_as_in_a1111(pipe: Pipeline, sampler: str, calls: int) -> None:
    """Its texts have ends, counted from 1; the first whose end is not below the call is meant, and calls
    are counted from 0. Where samplers call twice a step, ends are spread over twice the steps.
    """
    said: list[Tensor] = []
    hook = pipe.unet.register_forward_hook(lambda _, inputs, __: said.append(inputs[2].clone()))
    try:
        drawn(pipe, asked("a1111", prompt="[red:pine:2] [house|tree]", sampler=sampler, negative_prompt=""))
    finally:
        hook.remove()
    total = STEPS * (2 if sampler == "heun" else 1)
    ends = [
        (end, f"{'red' if end <= 2 else 'pine'} {'house' if end % 2 else 'tree'}")
        for end in range(1, total + 1)
    ]
    assert len(said) == calls
    for call, context in enumerate(said):
        text = next(text for end, text in ends if call <= end)
        expected = encode_prompts(pipe.text_encoder, pipe.tokenizer, [text])
        assert torch.allclose(context[1:], expected, atol=1e-6), call


def test_prompts_of_lengths_that_have_nothing_in_common_are_refused(pipe: Pipeline) -> None:
    prompts = {"prompt": "a red house, " * 300, "negative_prompt": "a pine tree, " * 240}
    with pytest.raises(RequestError, match=r"^pad_prompts: prompts of \d+ and \d+ chunks"):
        drawn(pipe, asked("a1111", **prompts))
