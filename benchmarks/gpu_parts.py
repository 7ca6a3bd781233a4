"""The parts of `gpu.py`: each measures one thing on a `Subject` and returns figures by name."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad, scaled_dot_product_attention

from gesso.config import ModelConfig
from gesso.engine.engine import available, optimise, switch_off
from gesso.engine.measure import matrix_product_peak, now
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.pipeline.pipeline import Pipeline, last_step
from gesso.pipeline.request import GenerationRequest
from gesso.text.tokenizer import Tokenizer
from gesso.weights.checkpoint import Models

PROMPT, NEGATIVE_PROMPT = "a red house beside a pine tree, at night", "blurry"
PEERS = ("diffusers", "compile")
CALLS, BLOCKS, LOOP = 10, 5, 50
LARGEST_ERROR = {torch.float16: 2e-2, torch.bfloat16: 1e-1, torch.float32: 1e-3}
"""Relative, of a UNet call, against the plain models in float32."""

Function = Callable[[Tensor, Tensor, Tensor], Tensor]


class Subject:
    """A model with random weights, its pipeline, and the settings of a run."""

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device,
        dtype: torch.dtype,
        steps: int,
        batches: list[int],
        peers: list[str],
    ) -> None:
        torch.manual_seed(0)
        with device:
            self.models = Models(
                TextEncoder(config.text_encoder), UNet(config.unet), Autoencoder(config.autoencoder)
            )
        for model in self.models:
            model.to(dtype).eval().requires_grad_(False)
        self.pipeline = Pipeline(self.models, config, Tokenizer.load(), name="random")
        self.config, self.device, self.dtype = config, device, dtype
        self.steps, self.batches = steps, batches
        self.peers = [peer for peer in peers if find_spec("diffusers")]
        self.peer_unets: dict[str, Function] = {}
        self.names = available(device, dtype)

    @contextmanager
    def engine(self, names: list[str]) -> Iterator[None]:
        """Run with these optimisations, and forget them and their memory after."""
        optimise(self.models, names)
        try:
            yield
        finally:
            switch_off(self.models)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def inputs(self, pictures: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        """Of a guided UNet call."""
        side = self.config.unet.sample_size
        latents = torch.randn(pictures, self.config.unet.in_channels, side, side)
        context = torch.randn(2 * pictures, 77, self.config.unet.context_dim)
        timesteps = torch.full((2 * pictures,), 500.0, device=self.device)
        guided = torch.cat([latents, latents]).to(self.device, self.dtype)
        return guided, timesteps, context.to(self.device, self.dtype)

    def draw(self, *, count: int = 1, steps: int | None = None, width: int | None = None) -> None:
        self.pipeline.draw(self.request(count=count, steps=steps, width=width))

    def request(
        self, *, count: int = 1, steps: int | None = None, width: int | None = None
    ) -> GenerationRequest:
        return GenerationRequest(
            PROMPT,
            negative_prompt=NEGATIVE_PROMPT,
            steps=steps or self.steps,
            sampler="euler",
            seed=7,
            count=count,
            width=width or self.config.image_size,
            height=self.config.image_size,
        )

    def seconds(self, function: Callable[[], object]) -> float:
        started = now(self.device)
        function()
        return now(self.device) - started

    def median(self, function: Callable[[], object]) -> float:
        """Seconds of a call: the median of a few blocks of calls, after warming up."""
        for _ in range(3):
            function()
        return statistics.median(self.block(function) for _ in range(BLOCKS))

    def block(self, function: Callable[[], object]) -> float:
        return self.seconds(lambda: [function() for _ in range(CALLS)]) / CALLS


def peer_unet(subject: Subject, peer: str) -> Function:
    """Diffusers' UNet with the same weights, eager or compiled; made once."""
    if peer in subject.peer_unets:
        return subject.peer_unets[peer]
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = subject.config.unet
    attends = config.attention_levels
    unet: Any = UNet2DConditionModel(
        down_block_types=tuple("CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if each else "UpBlock2D" for each in attends[::-1]),
        block_out_channels=config.block_channels,
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.context_dim,
        attention_head_dim=config.heads,
        norm_num_groups=config.groups,
    )
    unet = unet.to(subject.device, subject.dtype).eval()
    unet.load_state_dict(subject.models.unet.state_dict())
    unet = unet.to(memory_format=torch.channels_last)
    if peer == "compile":
        unet = torch.compile(unet)
    subject.peer_unets[peer] = lambda *inputs: unet(*inputs, return_dict=False)[0]
    return subject.peer_unets[peer]


@torch.inference_mode()
def agreement(subject: Subject) -> dict[str, Any]:
    """How far every contender's UNet call is from the plain models' in float32."""
    inputs = subject.inputs()
    plain = subject.models.unet
    expected = plain.float()(*(each.float() for each in inputs))
    plain.to(subject.dtype)
    found = {"plain": plain(*inputs)}
    with subject.engine(subject.names):
        found["engine"] = plain(*inputs)
        found["engine, replayed"] = plain(*inputs)
    for name in subject.names:
        with subject.engine([name]):
            found[f"only {name}"] = plain(*inputs)
    for peer in subject.peers:
        found[peer] = peer_unet(subject, peer)(*inputs)
    errors = {
        name: float((output.float() - expected).norm() / expected.norm()) for name, output in found.items()
    }
    wrong = [name for name, error in errors.items() if not error <= LARGEST_ERROR[subject.dtype]]
    failed = {"failed": f"{', '.join(wrong)} of another picture"} if wrong else {}
    return {name: f"{error:.2e}" for name, error in errors.items()} | failed


def first_picture(subject: Subject) -> dict[str, Any]:
    """From loaded models to a decoded picture: kernels compiled, graphs recorded; then the next ones."""
    with subject.engine(subject.names):
        seconds = [subject.seconds(subject.draw) for _ in range(3)]
    return dict(zip(("first", "second", "third"), (f"{each:.3f} s" for each in seconds), strict=True))


@torch.inference_mode()
def step(subject: Subject) -> dict[str, Any]:
    """Guided UNet calls a second of one picture, and steps a second of the pipeline's loop."""
    inputs = subject.inputs()
    unet = subject.models.unet
    figures = {"matrix product": f"{matrix_product_peak(subject.device, subject.dtype) / 1e12:.0f} TFLOP/s"}

    def rate(function: Function) -> str:
        seconds = subject.median(lambda: function(*inputs))
        return f"{1 / seconds:.1f} calls/s ({1000 * seconds:.2f} ms)"

    figures["plain"] = rate(unet)
    with subject.engine(subject.names):
        figures["engine"] = rate(unet)
        figures["engine's loop"] = f"{loop_rate(subject):.1f} it/s"
    for peer in subject.peers:
        figures[peer] = rate(peer_unet(subject, peer))
    return figures


def loop_rate(subject: Subject) -> float:
    """Steps a second between the first step and the last."""
    subject.draw()
    steps = subject.pipeline.stream(subject.request(steps=LOOP))
    next(steps)
    return (LOOP - 1) / subject.seconds(lambda: last_step(steps))


@torch.inference_mode()
def ablation(subject: Subject) -> dict[str, Any]:
    """A guided UNet call with each optimisation left out in turn."""
    inputs, unet = subject.inputs(), subject.models.unet
    figures: dict[str, Any] = {}
    for left_out in ("nothing", *subject.names):
        with subject.engine([name for name in subject.names if name != left_out]):
            seconds = subject.median(lambda: unet(*inputs))
        figures[f"without {left_out}"] = f"{1000 * seconds:.2f} ms"
    return figures


def pictures(subject: Subject) -> dict[str, Any]:
    """Pictures a second with their decode, and the most memory, by batch."""
    figures: dict[str, Any] = {}
    for count in subject.batches:
        with subject.engine(subject.names):
            subject.draw(count=count, steps=2)
            reset_peak(subject.device)
            seconds = subject.seconds(lambda count=count: subject.draw(count=count))
            figures[f"batch of {count}"] = f"{count / seconds:.2f} pictures/s, {peak(subject.device)}"
    return figures


def new_size(subject: Subject) -> dict[str, Any]:
    """What the first picture of a new size costs beside the second."""
    width = subject.config.image_size + 64
    with subject.engine(subject.names):
        subject.draw()
        first, second = (subject.seconds(lambda: subject.draw(width=width)) for _ in range(2))
    return {"first": f"{first:.3f} s", "second": f"{second:.3f} s", "cost": f"{first - second:.3f} s"}


def changed_lora(subject: Subject) -> dict[str, Any]:
    """What a change of all attention weights in place, as a merged LoRA is, costs the next picture."""
    weights = [each for name, each in subject.models.unet.named_parameters() if ".attn" in name]

    @torch.no_grad()
    def change() -> None:
        for weight in weights:
            weight.add_(0.0)

    with subject.engine(subject.names):
        subject.draw()
        before = subject.seconds(subject.draw)
        merge = subject.seconds(change)
        after = subject.seconds(subject.draw)
    return {"merge": f"{merge:.3f} s", "next picture costs": f"{after - before:+.3f} s"}


@torch.inference_mode()
def attention(subject: Subject) -> dict[str, Any]:
    """Self-attention of every level of a guided call, by backend, and with heads padded to whole tiles."""
    figures: dict[str, Any] = {}
    config = subject.config.unet
    for level, (channels, attends) in enumerate(
        zip(config.block_channels, config.attention_levels, strict=True)
    ):
        pixels, width = (config.sample_size >> level) ** 2, channels // config.heads
        shape = 2, config.heads, pixels, width
        q, k, v = (torch.randn(shape, device=subject.device, dtype=subject.dtype) for _ in range(3))
        for wide in sorted({width, -(-width // 64) * 64}) if attends else ():
            q_, k_, v_ = (pad(each, (0, wide - width)) for each in (q, k, v))
            for backend in (
                SDPBackend.FLASH_ATTENTION,
                SDPBackend.CUDNN_ATTENTION,
                SDPBackend.EFFICIENT_ATTENTION,
            ):

                def attend(
                    q: Tensor = q_, k: Tensor = k_, v: Tensor = v_, scale: float = width**-0.5
                ) -> Tensor:
                    return scaled_dot_product_attention(q, k, v, scale=scale)

                name = f"{pixels} pixels, heads of {width} as {wide}, {backend.name.lower()}"
                try:
                    with sdpa_kernel(backend):
                        figures[name] = f"{1e6 * subject.median(attend):.0f} µs"
                except RuntimeError as error:
                    figures[name] = f"not possible: {str(error).splitlines()[0]}"
    return figures


@torch.inference_mode()
def profile(subject: Subject) -> dict[str, Any]:
    """Where the time of a guided call goes: the kernels that took most of it."""
    inputs, unet = subject.inputs(), subject.models.unet
    cuda = subject.device.type == "cuda"
    activity = torch.profiler.ProfilerActivity
    activities = [activity.CPU, activity.CUDA] if cuda else [activity.CPU]
    with subject.engine(subject.names):
        for _ in range(3):
            unet(*inputs)
        with torch.profiler.profile(activities=activities) as profiler:
            for _ in range(CALLS):
                unet(*inputs)
            now(subject.device)
    averages = profiler.key_averages()
    order = "self_cuda_time_total" if cuda else "self_cpu_time_total"
    return {f"{CALLS} calls": averages.table(sort_by=order, row_limit=40, max_name_column_width=90)}


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> str:
    bytes_ = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return f"{bytes_ / 2**30:.2f} GiB"


PARTS: dict[str, Callable[[Subject], dict[str, Any]]] = {
    "first-picture": first_picture,
    "agreement": agreement,
    "step": step,
    "ablation": ablation,
    "new-size": new_size,
    "changed-lora": changed_lora,
    "pictures": pictures,
    "attention": attention,
    "profile": profile,
}
"""In the order of running. The first picture comes first, while nothing is compiled."""
