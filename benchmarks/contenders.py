"""What the benchmarks run side by side: the same three calls for gesso and for each of its peers.

A contender is named by a specification: ``gesso``, ``gesso:plain`` (anything that ``--engine`` takes may
follow the colon), ``diffusers``, ``compile`` (Diffusers under torch.compile with freezing), ``openvino``
(Diffusers with OpenVINO's networks).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TIMESTEP = 500
STEPS = 20
GUIDANCE_SCALE = 7.5
PROMPT, NEGATIVE_PROMPT, SEED = "a red house beside a pine tree, at night", "blurry", 7
DOWNSCALE = 8  # image pixels a latent pixel


class Contender(ABC):
    """A loaded model that answers the three questions, at one size.

    Args:
        folder: the Diffusers folder to load.
        size: side of the pictures in pixels.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        generator = torch.Generator().manual_seed(0)
        width = json.loads((folder / "unet" / "config.json").read_text())["cross_attention_dim"]
        side = size // DOWNSCALE
        self.latents = torch.randn(1, 4, side, side, generator=generator)
        self.context = torch.randn(2, 77, width, generator=generator)

    @property
    def guided_latents(self) -> Tensor:
        """As classifier-free guidance hands them over: a batch of two that are the same."""
        return torch.cat([self.latents, self.latents])

    @abstractmethod
    def step(self) -> np.ndarray:
        """One step of the UNet under classifier-free guidance: model output (2, 4, h/8, w/8)."""

    @abstractmethod
    def decode(self) -> np.ndarray:
        """The image (1, 3, h, w) of some latents."""

    @abstractmethod
    def picture(self, steps: int) -> np.ndarray:
        """From the prompt to 8-bit pixels (h, w, 3), with DDIM."""


class Gesso(Contender):
    """gesso, with whatever engine."""

    def __init__(self, folder: Path, size: int, engine: str = "auto") -> None:
        super().__init__(folder, size)
        import gesso

        self.pipeline = gesso.load(folder, device="cpu", dtype="float32", engine=engine or "auto")

    def step(self) -> np.ndarray:
        timesteps = torch.full((2,), float(TIMESTEP))
        return self.pipeline.unet(self.guided_latents, timesteps, self.context).numpy()

    def decode(self) -> np.ndarray:
        return self.pipeline.autoencoder.decode(self.latents).numpy()

    def picture(self, steps: int) -> np.ndarray:
        result = self.pipeline(
            PROMPT,
            negative_prompt=NEGATIVE_PROMPT,
            sampler="ddim",
            steps=steps,
            guidance_scale=GUIDANCE_SCALE,
            seed=SEED,
            width=self.size,
            height=self.size,
        )
        return np.asarray(result.images[0])


class Diffusers(Contender):
    """Diffusers as it comes."""

    def __init__(self, folder: Path, size: int, _: str = "") -> None:
        super().__init__(folder, size)
        from diffusers import StableDiffusionPipeline

        self.pipeline: Any = StableDiffusionPipeline.from_pretrained(str(folder), safety_checker=None)
        self.pipeline.set_progress_bar_config(disable=True)

    def step(self) -> np.ndarray:
        timestep = torch.tensor(TIMESTEP)
        return self.pipeline.unet(self.guided_latents, timestep, self.context, return_dict=False)[0].numpy()

    def decode(self) -> np.ndarray:
        latents = self.latents / self.pipeline.vae.config.scaling_factor
        return self.pipeline.vae.decode(latents, return_dict=False)[0].numpy()

    def picture(self, steps: int) -> np.ndarray:
        result = self.pipeline(
            PROMPT,
            negative_prompt=NEGATIVE_PROMPT,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE_SCALE,
            generator=torch.Generator().manual_seed(SEED),
            width=self.size,
            height=self.size,
        )
        return np.asarray(result.images[0])


class Compiled(Diffusers):
    """Diffusers under torch.compile, weights frozen into the code."""

    def __init__(self, folder: Path, size: int, _: str = "") -> None:
        super().__init__(folder, size)
        import torch._inductor.config as inductor

        inductor.freezing = True
        self.pipeline.unet.forward = torch.compile(self.pipeline.unet.forward)
        self.pipeline.vae.decoder.forward = torch.compile(self.pipeline.vae.decoder.forward)


class OpenVINO(Diffusers):
    """Diffusers with its UNet and decoder converted by OpenVINO; one shape, float32.

    Each is converted when it is first called, so that a benchmark of one does not wait for the other.
    """

    def __init__(self, folder: Path, size: int, _: str = "") -> None:
        super().__init__(folder, size)
        self.converted: dict[str, Any] = {}
        unet, decoder = self.pipeline.unet, self.pipeline.vae.decoder
        plain_unet = UNetOutput(unet, unet.forward)
        plain_decoder = ModuleOutput(decoder, decoder.forward)

        def run_unet(
            latents: Tensor, timestep: Any, encoder_hidden_states: Tensor, **_: Any
        ) -> tuple[Tensor]:
            inputs = latents, torch.as_tensor(timestep).float().expand(1), encoder_hidden_states
            return (self.run("unet", plain_unet, inputs),)

        def run_decoder(latents: Tensor, *_: Any) -> Tensor:
            return self.run("decoder", plain_decoder, (latents,))

        unet.forward, decoder.forward = run_unet, run_decoder

    def run(self, name: str, network: torch.nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        if name not in self.converted:
            self.converted[name] = convert(network, inputs)
        output = self.converted[name]([tensor.contiguous().numpy() for tensor in inputs])[0]
        return torch.from_numpy(np.array(output))


class ModuleOutput(torch.nn.Module):
    """A network under its own forward, whatever stands there later."""

    def __init__(self, network: torch.nn.Module, forward: Any) -> None:
        super().__init__()
        self.network, self.run = network, forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


class UNetOutput(ModuleOutput):
    """The same with three inputs, and a bare tensor for output."""

    def forward(self, latents: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        return self.run(latents, timestep, context, return_dict=False)[0]


def convert(network: torch.nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """An OpenVINO model of fixed shapes that computes in float32 (some machines would take less)."""
    import openvino

    model = openvino.convert_model(
        network, example_input=inputs, input=[tuple(tensor.shape) for tensor in inputs]
    )
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


KINDS = {"gesso": Gesso, "diffusers": Diffusers, "compile": Compiled, "openvino": OpenVINO}


def load(specification: str, folder: Path, size: int) -> Contender:
    """The contender of a specification, see above."""
    kind, _, option = specification.partition(":")
    return KINDS[kind](folder, size, option)
