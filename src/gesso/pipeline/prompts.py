"""A request's two prompts, as its emphasis has them read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gesso.diffusion.samplers import SAMPLERS
from gesso.errors import PromptError, RequestError
from gesso.pipeline.fields import check_name
from gesso.text.emphasis import EMPHASES
from gesso.text.prompt import Prompt, literal_prompt, parse_prompt
from gesso.text.weighing import Text

if TYPE_CHECKING:
    from gesso.pipeline.request import GenerationRequest


@dataclass(frozen=True)
class Prompts:
    """What guidance goes towards, and what away from."""

    prompt: Prompt
    negative_prompt: Prompt

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the prompts that AND joins."""
        return self.prompt.weights

    def over(self, steps: int, before: int = 0) -> list[tuple[Text, ...]]:
        """The texts that AND joins, and then the negative one, at each step or call (see `Prompt.over`)."""
        positive, negative = (each.over(steps, before) for each in (self.prompt, self.negative_prompt))
        return [(*texts, *others) for texts, others in zip(positive, negative, strict=True)]


def read_prompts(request: GenerationRequest) -> Prompts:
    """Both prompts of a request, read.

    Raises:
        PromptError: one cannot be; ``where`` says which.
    """
    if EMPHASES[request.emphasis].is_literal:
        prompt = literal_prompt(request.prompt)
        negative_prompt = literal_prompt(request.negative_prompt, where="negative_prompt")
    else:
        prompt = parse_prompt(request.prompt)
        negative_prompt = parse_prompt(request.negative_prompt, where="negative_prompt", negative=True)
    if request.prompt_timing == "calls":
        calls = SAMPLERS[request.sampler].calls if request.sampler else 1  # the model's: not known yet
        return Prompts(replace(prompt, calls=calls), replace(negative_prompt, calls=calls))
    return Prompts(prompt, negative_prompt)


def check_prompts(request: GenerationRequest) -> None:
    """Refuse what cannot be read, as far as the first and the last step tell.

    Raises:
        PromptError: a prompt cannot be read.
        RequestError: there is no such emphasis.
    """
    check_emphasis(request.emphasis)
    prompts = read_prompts(request)
    for each in (prompts.prompt, prompts.negative_prompt):
        for step in (1, request.steps):
            each.at(step, request.steps)


def refuse_loras(request: GenerationRequest) -> None:
    """Refuse to draw without the LoRAs that a prompt asks for.

    Raises:
        PromptError: it asks for one.
    """
    for lora in read_prompts(request).prompt.loras:
        raise PromptError(
            f"LoRAs are not supported yet, and it asks for <lora:{lora.name}:{lora.weight:g}>",
            f"Leave it out, or write \\<lora:{lora.name}> if it is meant as text.",
            where="prompt",
            position=lora.position,
        )


def check_emphasis(value: object) -> str:
    """The name of a way of applying weights.

    Raises:
        RequestError: there is no such way.
    """
    name = check_name(value, "emphasis")
    if name not in EMPHASES:
        nearest = get_close_matches(name, EMPHASES, n=1)
        advice = f'Did you mean "{nearest[0]}"?' if nearest else f"Use {', '.join(EMPHASES)}."
        raise RequestError(f'no emphasis is called "{name[:60]}"', advice, where="emphasis")
    return name
