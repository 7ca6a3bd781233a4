"""One batch of several prompts, where a request's pictures have theirs in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import lcm

import torch
from PIL.Image import Image
from torch import Tensor

from gesso.errors import RequestError
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.prompts import Prompts, read_prompts
from gesso.pipeline.request import GenerationRequest, ResolvedRequest
from gesso.weights.checkpoint import Models


class Medley(Pipeline):
    """A pipeline whose pictures have a prompt each: picture i of a request has the i-th of ``prompts``.

    Each is the one that a request of its own draws with the same seed, up to rounding, and the network is
    called once for all of them.
    """

    def __init__(self, pipeline: Pipeline, prompts: Sequence[str]) -> None:
        super().__init__(
            Models(pipeline.text_encoder, pipeline.unet, pipeline.autoencoder),
            pipeline.config,
            pipeline.tokenizer,
            pipeline.name,
            runs_in=pipeline.runs_in,
            before_use=pipeline.before_use,
        )
        self.prompts = prompts

    def encode_prompts(
        self, request: ResolvedRequest, prompts: Prompts, steps: int, before: int = 0
    ) -> Iterator[Tensor]:
        """As `Pipeline.encode_prompts`, of all prompts; those of the request itself only say the weights.

        Raises:
            RequestError: they join other numbers of prompts with AND, or with other weights.
        """
        single = super().encode_prompts
        contexts: list[list[Tensor]] = []
        for prompt in self.prompts:
            own = replace(request, prompt=prompt, count=1, batch_size=1)
            read = read_prompts(own)
            if read.weights != prompts.weights:
                raise RequestError(
                    "prompts that are drawn in one batch must have the same weights between their ANDs",
                    "Draw them one by one.",
                    where="prompt",
                )
            contexts.append(list(single(own, read, steps, before)))
        together: dict[tuple[int, ...], Tensor] = {}
        for step in zip(*contexts, strict=True):
            together.setdefault(tuple(map(id, step)), interleaved(step))
        return iter([together[tuple(map(id, step))] for step in zip(*contexts, strict=True)])


def interleaved(contexts: Sequence[Tensor]) -> Tensor:
    """b contexts, ((1 + k), n, d) each, as one, ((1 + k)·b, m, d).

    Where they differ in length, all are repeated until they do not: attention is a mean of values by
    weights that sum to one, and does not change if each value is there twice.
    """
    length = lcm(*(context.shape[1] for context in contexts))
    even = [context.repeat(1, length // context.shape[1], 1) for context in contexts]
    return torch.stack(even, dim=1).flatten(0, 1)


def draw_medley(pipeline: Pipeline, prompts: Sequence[str], request: GenerationRequest) -> list[Image]:
    """Draw a picture of each prompt as one batch; the first has the request's seed, the next that plus 1 …

    Args:
        request: everything else; its own prompt and count do not matter.
    """
    batch = replace(request, prompt=prompts[0], count=len(prompts), batch_size=len(prompts))
    return Medley(pipeline, prompts).draw(batch)
