"""How long a pipeline takes for a picture, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from gesso.diffusion.samplers import Step
from gesso.engine.measure import now
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import ResolvedRequest


@dataclass(frozen=True)
class PictureTimes:
    """Seconds.

    Attributes:
        first_step: with the encoding of the prompts, and whatever else happens once a picture.
        steps: each of the others.
        decode: from latents to pixels.
    """

    first_step: float
    steps: tuple[float, ...]
    decode: float

    @property
    def total(self) -> float:
        return self.first_step + sum(self.steps) + self.decode


def time_picture(pipeline: Pipeline, request: ResolvedRequest) -> PictureTimes:
    """Draw a request as one batch, and keep the times instead of the pictures.

    Raises:
        NumericsError: latents or pixels are NaN or infinite.
    """
    clock = [now(pipeline.device)]
    last: Step | None = None
    for step in pipeline.stream(request):
        clock.append(now(pipeline.device))
        last = step
    assert last is not None  # a request has at least one step
    pipeline.decode(last.latents)
    end = now(pipeline.device)
    first, *steps = (after - before for before, after in pairwise(clock))
    return PictureTimes(first, tuple(steps), end - clock[-1])
