"""The words that a request says to a model which was never taught them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gesso.diffusion.guidance import needs_negative
from gesso.pipeline.prompts import read_prompts
from gesso.pipeline.request import ResolvedRequest
from gesso.pipeline.walks import prompted_steps
from gesso.text.caption_words import unknown_words
from gesso.text.weighing import Text


def unknown_words_of(request: ResolvedRequest, known: Collection[str]) -> list[str]:
    """Those of the prompt, then those of the negative one, as `gesso.text.caption_words` finds them."""
    return unknown_words(texts_of(request), known)


def texts_of(request: ResolvedRequest) -> Iterator[Text]:
    """What the prompt says at all steps of all passes, and then the negative one, if guidance reads it."""
    prompts = read_prompts(request)
    passes = [(request.walked_steps, 0)]
    if request.hires_scale is not None:
        passes.append((request.second_steps, request.walked_steps))
    guided = needs_negative(request.guidance_scale, prompts.weights)
    for prompt in (prompts.prompt, prompts.negative_prompt) if guided else (prompts.prompt,):
        for steps, before in passes:
            together = prompt.over(prompted_steps(request, steps, before), before)
            yield from (text for texts in dict.fromkeys(together) for text in texts)
