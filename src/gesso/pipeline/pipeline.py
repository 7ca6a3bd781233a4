"""The page: text -> latents -> image. Everything gesso draws goes through `Pipeline.stream`."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gesso.config import ModelConfig
from gesso.diffusion.by_step import ByCall, ByStep
from gesso.diffusion.denoiser import Denoiser, Network
from gesso.diffusion.guidance import needs_negative, pair_contexts
from gesso.diffusion.noise import NoiseSource
from gesso.diffusion.plan import Plan
from gesso.diffusion.samplers import Step
from gesso.diffusion.schedule import NoiseSchedule
from gesso.engine.exhaustion import explain_exhaustion
from gesso.errors import RequestError, WrongKindError
from gesso.pipeline.canvas import make_canvas
from gesso.pipeline.coder import check_latents, decode_latents, encode_image
from gesso.pipeline.contexts import filled_up, repeated
from gesso.pipeline.freeu import freed
from gesso.pipeline.heatmaps import HeatmapRecorder
from gesso.pipeline.hires import enlarge, second_pass
from gesso.pipeline.image_to_image import start_from_image, start_from_latents
from gesso.pipeline.images import to_pil
from gesso.pipeline.inpainting import start_over_mask
from gesso.pipeline.preview import DrawingStep, Previewer, linear_previewer, tiny_previewer
from gesso.pipeline.prompts import Prompts, read_prompts
from gesso.pipeline.quality_fields import check_quality_with
from gesso.pipeline.request import GenerationRequest, ResolvedRequest
from gesso.pipeline.sampling_fields import sampler_options
from gesso.pipeline.start import Start
from gesso.pipeline.starting_noise import starting_noise
from gesso.pipeline.steering import steer
from gesso.pipeline.tiling import tiled
from gesso.pipeline.unknown_words import unknown_words_of
from gesso.pipeline.walks import plan_walk, prompted_steps
from gesso.text.conditioning import encode_prompts
from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Text
from gesso.weights.checkpoint import Models

log = logging.getLogger(__name__)

Begin = Callable[[ResolvedRequest, Plan, NoiseSource], Start]

SMALLER = "Draw smaller pictures, fewer at a time (batch_size), or load the model with low_memory."


@dataclass(frozen=True, eq=False)
class Result:
    """Finished pictures.

    Attributes:
        images: one PIL image a picture.
        request: what was drawn, with nothing left open: the same model gives the same pictures again.
    """

    images: list[Image.Image]
    request: ResolvedRequest


class Pipeline:
    """A loaded model, ready to draw. Calls leave nothing behind on it.

    Args:
        models: text encoder, UNet and autoencoder, on one device and in one precision.
        config: what they are made of.
        tokenizer: the text encoder's vocabulary.
        name: what pictures and messages call the model.
        runs_in: device and precision they compute in; None is where and how their weights are.
        before_use: called before the networks are, such as to wait for a check of their weights.
    """

    def __init__(
        self,
        models: Models,
        config: ModelConfig,
        tokenizer: Tokenizer,
        name: str,
        *,
        runs_in: tuple[torch.device, torch.dtype] | None = None,
        before_use: Callable[[], object] = tuple,
    ) -> None:
        self.text_encoder, self.unet, self.autoencoder = models
        self.config = config
        self.tokenizer = tokenizer
        self.name = name
        self.runs_in = runs_in
        self.before_use = before_use
        self.noise_schedule = NoiseSchedule(config.noise)
        self.denoiser = Denoiser(self.unet, self.noise_schedule, config.noise.prediction)

    @property
    def device(self) -> torch.device:
        return self.runs_in[0] if self.runs_in else self.unet.conv_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.runs_in[1] if self.runs_in else self.unet.conv_in.weight.dtype

    def __call__(self, request: GenerationRequest | str, **fields: Any) -> Result:
        """Draw all of a request's pictures, ``batch_size`` at a time.

        Args:
            request: a request, or a prompt with the request's other fields as keywords.

        Raises:
            RequestError: a field cannot be drawn (by this model).
            OutOfMemoryError: the pictures are too large, or too many at once, for this machine.
            NumericsError: latents or pixels are NaN or infinite.
        """
        if isinstance(request, str):
            request = GenerationRequest(request, **fields)
        elif fields:
            request = replace(request, **fields)
        resolved = request.resolve(self.config)
        images = [image for batch in resolved.batches() for image in self.draw(batch)]
        return Result(images, resolved)

    def draw(self, request: GenerationRequest) -> list[Image.Image]:
        """Draw a request's pictures as one batch, whatever its ``batch_size``."""
        request = request.resolve(self.config)
        return self.finish(last_step(self.stream(request)).latents, request)

    @torch.inference_mode()
    def stream(
        self, request: GenerationRequest, *, heatmaps: HeatmapRecorder | None = None
    ) -> Iterator[DrawingStep]:
        """Yield each denoising step of one batch; the last one carries the finished latents.

        Args:
            heatmaps: records where each word of the prompt was looked up.
        """
        request = request.resolve(self.config)
        self.check(request)
        with explain_exhaustion(f"{request.count} × {request.width}×{request.height} pixels", SMALLER):
            self.before_use()
            previewer = self.previewer()
            for step in self._passes(request, heatmaps):
                yield DrawingStep(step.index, step.sigma, step.x, step.denoised, previewer)

    def _passes(self, request: ResolvedRequest, heatmaps: HeatmapRecorder | None) -> Iterator[Step]:
        latents = yield from self._walk(request, request.walked_steps, self.start, heatmaps)
        if request.hires_scale is not None:
            yield from self._second_pass(request, latents, heatmaps)

    def _walk(
        self,
        request: ResolvedRequest,
        steps: int,
        begin: Begin,
        heatmaps: HeatmapRecorder | None,
        before: int = 0,
    ) -> Generator[Step, None, Tensor]:
        """The last so many steps of a walk, after so many of the pass before; returns finished latents."""
        plan = plan_walk(request, self.noise_schedule, steps)
        prompts = read_prompts(request)
        prompted = prompted_steps(request, steps, before)
        contexts = self.encode_prompts(request, prompts, prompted, before)  # each (2b, 77·c, 768)
        noise = self.noise_source(request)
        start = begin(request, plan, noise)  # start.x (b, 4, h/8, w/8)
        network = freed(tiled(self.unet, request.tiling), request.freeu)

        def read(network: Network) -> Denoiser:
            return start.tell(replace(self.denoiser, network=network)).rounded(plan.rounding)

        bind = steer(request, network, prompts.weights, read, heatmaps and heatmaps.watch)
        if heatmaps is not None:
            said = prompts.prompt.over(prompted, before)
            bind, contexts = heatmaps.join(bind, contexts, said, request, self.tokenizer, self.config)
        in_turn = ByStep if request.prompt_timing == "steps" else ByCall
        guided = in_turn.of(bind, contexts)
        latents = start.x
        walk = plan.sampler.function(
            start.keep(guided), start.x, plan.sigmas, noise, **sampler_options(request)
        )
        for step in guided.follow(start.settle(walk)):
            latents = step.latents
            yield step
        return latents

    def _second_pass(
        self, request: ResolvedRequest, latents: Tensor, heatmaps: HeatmapRecorder | None
    ) -> Iterator[Step]:
        """Draw over an enlarged picture."""
        larger = second_pass(request, self.config.autoencoder.downscale)
        decode = partial(self.decode, tiling=request.tiling)

        def begin(request: ResolvedRequest, plan: Plan, noise: NoiseSource) -> Start:
            def encode(image: Tensor) -> Tensor:
                return self.encode(image, noise.posterior(), request.tiling)

            enlarged = enlarge(latents, request, self.latent_size(request), decode, encode)
            return start_from_latents(enlarged, plan, starting_noise(request, noise, self.noise_source))

        yield from self._walk(larger, request.second_steps, begin, heatmaps, before=request.walked_steps)

    def start(self, request: ResolvedRequest, plan: Plan, noise: NoiseSource) -> Start:
        """Where the walk of a batch begins: at noise, at a picture, or at a picture with a mask."""
        canvas = make_canvas(request)
        own = partial(starting_noise, request, noise, self.noise_source)
        encode = partial(self.encode, tiling=request.tiling)
        if canvas is None:
            return Start(own() * plan.starting_scale)
        if canvas.mask is None:
            return start_from_image(canvas, encode, plan, noise, own)
        assert request.strength is not None  # resolved
        inpainting = self.config.inpainting
        return start_over_mask(
            canvas, encode, plan, noise, own, strength=request.strength, made_for_it=inpainting
        )

    def encode_prompts(
        self, request: ResolvedRequest, prompts: Prompts, steps: int, before: int = 0
    ) -> Iterator[Tensor]:
        """The contexts of a batch, as `guide` reads them, of each step of a walk, or each call.

        Args:
            prompts: those of the request, of which k are drawn together.
            steps: of the walk.
            before: steps of the pass before it.

        Returns:
            One a step or call, ((1 + k)·b, 77·c, 768), or (b, 77·c, 768) where the negative one is not
            needed: the same tensor at all that say the same. Nothing but the iterator holds on to them.
        """
        guided = needs_negative(request.guidance_scale, prompts.weights)
        said = (prompts if guided else prompts.prompt).over(steps, before)
        if not said:
            return iter(())
        encode = partial(
            encode_prompts,
            self.text_encoder,
            self.tokenizer,
            max_length=self.config.text_encoder.max_length,
            clip_skip=request.clip_skip,
            device=self.device,
            emphasis=request.emphasis,
            comma_backtrack=request.comma_backtrack,
        )
        chunk = self.config.text_encoder.max_length
        rows = filled_up(said, encode) if request.pad_prompts else repeated(said, encode, chunk)
        contexts: dict[tuple[Text, ...], Tensor] = {}
        for together, each in rows.items():  # (1, 77·c, 768) each
            *positive, last = (row.expand(request.count, -1, -1) for row in each)
            contexts[together] = pair_contexts(torch.cat(positive), last) if guided else last
        return iter([contexts[together] for together in said])

    def noise_source(self, request: ResolvedRequest) -> NoiseSource:
        """The noise of one batch: picture i has the seed ``request.seed + i``."""
        width, height = self.latent_size(request)
        shape = (self.config.autoencoder.latent_channels, height, width)
        seeds = [request.seed_of(index) for index in range(request.count)]
        return NoiseSource(
            seeds,
            shape,
            device=self.device,
            source=request.noise_source,
            eta_seed_delta=request.eta_seed_delta,
            batch_index=request.batch_index,
            draws_posterior=request.image_rules == "diffusers",
        )

    def latent_size(self, request: ResolvedRequest) -> tuple[int, int]:
        """Width and height of a request's latents."""
        downscale = self.config.autoencoder.downscale
        return request.width // downscale, request.height // downscale

    @torch.inference_mode()
    def encode(self, image: Tensor, noise: Tensor, tiling: str | None = None) -> Tensor:
        """Image (1 or b, 3, h, w) -> latents (b, 4, h/8, w/8), drawn from its posterior by noise like them.

        One picture at a time, and again in float32 if half precision overflows, as in `decode`.
        """
        self.before_use()
        return encode_image(self.autoencoder, image.to(self.device), noise, self.dtype, tiling)

    def finish(self, latents: Tensor, request: ResolvedRequest) -> list[Image.Image]:
        """Decode a request's latents, and put what was drawn into the picture it is part of."""
        drawn = self.decode(latents, tiling=request.tiling)
        canvas = make_canvas(request)
        return drawn if canvas is None else [canvas.finish(picture) for picture in drawn]

    @torch.inference_mode()
    def decode(self, latents: Tensor, *, tiling: str | None = None) -> list[Image.Image]:
        """Latents (b, 4, h/8, w/8) -> b PIL images of h × w.

        One picture at a time, so that a batch costs no more memory here than a single one. If half
        precision overflows in the autoencoder, the picture is decoded again in float32.

        Raises:
            NumericsError: latents or pixels are NaN or infinite.
            OutOfMemoryError: the picture is too large for this machine.
        """
        self.before_use()
        check_latents(latents, self.name)
        height, width = (side * self.config.autoencoder.downscale for side in latents.shape[-2:])
        with explain_exhaustion(f"decoding {width}×{height} pixels", SMALLER):
            return [
                to_pil(decode_latents(self.autoencoder, part, self.dtype, tiling))[0]
                for part in latents.split(1)
            ]

    def previewer(self, decoder: str | Path | None = None) -> Previewer:
        """What shows pictures in the making, to be used for as many as one likes.

        Args:
            decoder: the file of a tiny decoder (TAESD), which shows detail; None is a linear map.

        Raises:
            CheckpointError: the file is not readable, or no decoder of this model's latents.
        """
        if decoder is not None:
            return tiny_previewer(decoder, self.config.autoencoder, self.device)
        decode = partial(decode_latents, self.autoencoder, dtype=self.dtype, tiling=None)
        return linear_previewer(self.config.autoencoder, lambda latents: decode(latents.to(self.device)))

    def unknown_words(self, request: GenerationRequest | str) -> list[str]:
        """Words of a request's prompts that the captions of this model's training never had.

        They are drawn nevertheless: any text has tokens.

        Args:
            request: a request, or a prompt.

        Returns:
            Each word once, in lower case, as they are first said; those of the negative prompt last, and
            none of it at a guidance scale of 1, where it is not read. What counts as a word is said in
            `gesso.text.caption_words`. Empty where the model's tokenizer does not list its captions' words:
            Stable Diffusion's does not, those of `gesso train storybook` do.

        Raises:
            RequestError: the request cannot be read, or not be drawn by this model.
        """
        if isinstance(request, str):
            request = GenerationRequest(request)
        known = self.tokenizer.caption_words
        return [] if known is None else unknown_words_of(request.resolve(self.config), known)

    def check(self, request: ResolvedRequest) -> None:
        """Refuse what this model was not made for, or not loaded for.

        Raises:
            WrongKindError: the model is for inpainting only, and there is nothing to inpaint.
            RequestError: its weights come block by block, and part of a block is asked for; or it has not
                the layers that guidance is to read.
        """
        check_quality_with(request, self.config)
        if self.runs_in and request.deep_cache > 1:
            raise RequestError(
                "it calls parts of blocks, and with low_memory weights come block by block",
                "Leave one of the two out.",
                where="deep_cache",
            )
        if self.config.inpainting and request.mask is None and request.expand is None:
            raise WrongKindError(
                "is a Stable Diffusion 1.x inpainting model, which draws only where a picture is masked",
                "Give image and mask (or expand), or use a text-to-image checkpoint.",
                where=self.name,
            )


def last_step(steps: Iterable[Step]) -> Step:
    """Walk through all steps and keep the last alone: a thousand steps' latents would fill the memory."""
    return deque(steps, maxlen=1).pop()
