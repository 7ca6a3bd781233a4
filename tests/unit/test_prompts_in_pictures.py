"""What the prompt language asks for is what the network is told, at every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import gesso
from gesso.diffusion.samplers import SAMPLERS
from gesso.errors import PromptError, RequestError
from gesso.pipeline.parameters import from_parameters, to_parameters
from gesso.pipeline.pipeline import Pipeline
from gesso.text.conditioning import encode_prompts
from gesso.text.emphasis import EMPHASES
from gesso.text.lexer import escape


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


def latents(pipe: Pipeline, prompt: str, **fields: Any) -> Tensor:
    """The finished ones."""
    fields = {"steps": 4, "seed": 7, "sampler": "euler", **fields}
    *_, last = pipe.stream(gesso.GenerationRequest(prompt, **fields))
    return last.latents


def told(pipe: Pipeline, prompt: str, **fields: Any) -> list[list[Tensor]]:
    """The contexts of all calls of the network, step by step."""
    fields = {"seed": 7, "sampler": "euler", **fields}
    calls: list[Tensor] = []
    hook = pipe.unet.register_forward_hook(lambda _, inputs, __: calls.append(inputs[2]))
    steps: list[list[Tensor]] = []
    try:
        for _ in pipe.stream(gesso.GenerationRequest(prompt, **fields)):
            steps.append(calls[:])
            calls.clear()
    finally:
        hook.remove()
    return steps


def context_of(pipe: Pipeline, *texts: str) -> Tensor:
    with torch.inference_mode():
        return encode_prompts(pipe.text_encoder, pipe.tokenizer, texts)


# Steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_schedule_switches_after_its_step(pipe: Pipeline, sampler: str) -> None:
    """However often a sampler asks in a step."""
    steps = told(pipe, "a red [house:boat:2]", negative_prompt="[night::3]", sampler=sampler, steps=5)
    assert len(steps) == 5 or sampler == "restart"
    house, boat, night, empty = context_of(pipe, "a red house", "a red boat", "night", "")
    for index, contexts in enumerate(steps[:5]):
        assert contexts or sampler == "plms"
        for context in contexts:
            negative, positive = context
            assert torch.equal(positive, house if index < 2 else boat), index
            assert torch.equal(negative, night if index < 3 else empty), index


def test_a_share_counts_the_steps_that_are_walked(pipe: Pipeline) -> None:
    """Of ten steps at strength 0.4 those are four."""
    grey = Image.new("RGB", (64, 64), "grey")
    fields = {"image": grey, "strength": 0.4, "steps": 10, "guidance_scale": 1}
    contexts = [context for (context,) in told(pipe, "[house:boat:0.5]", **fields)]
    house, boat = context_of(pipe, "house", "boat").split(1)
    assert [torch.equal(context, house) for context in contexts] == [True, True, False, False]
    assert torch.equal(contexts[-1], boat)


def test_a_second_pass_goes_on_with_the_schedule(pipe: Pipeline) -> None:
    fields = {"steps": 4, "hires_scale": 1.5, "hires_steps": 4, "hires_strength": 1.0, "guidance_scale": 1}
    contexts = [context for (context,) in told(pipe, "[house:boat:0.5] [red:blue:6]", **fields)]
    first, second, third = context_of(pipe, "house red", "boat red", "boat blue").split(1)
    expected = [first] * 2 + [second] * 4 + [third] * 2
    assert len(contexts) == 8
    assert all(map(torch.equal, contexts, expected))


def test_alternation_takes_turns_with_the_same_contexts(pipe: Pipeline) -> None:
    """The same tensors, so that what an engine keeps of them is found again."""
    contexts = [context for (context,) in told(pipe, "a [house|boat|]", steps=7)]
    assert len({id(context) for context in contexts}) == 3
    assert all(contexts[i] is contexts[i % 3] for i in range(7))
    for context, text in zip(contexts, ["a house", "a boat", "a "], strict=False):
        assert torch.equal(context[1:], context_of(pipe, text))


def test_a_prompt_that_does_not_change_is_one_context(pipe: Pipeline) -> None:
    steps = told(pipe, "a (red:1.3) house", sampler="heun", steps=5)
    assert len({id(context) for contexts in steps for context in contexts}) == 1


def test_every_text_is_encoded_once(pipe: Pipeline) -> None:
    rows: list[int] = []
    hook = pipe.text_encoder.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    told(pipe, "a [house|boat] AND a house", negative_prompt="a boat", steps=6, count=2, batch_size=2)
    hook.remove()
    assert rows == [2], "the house of both prompts and the boat of both"


# AND


def test_and_is_guidance_by_both(pipe: Pipeline) -> None:
    """negative + Σ weight · scale · (positive − negative), computed from the three pictures' estimates."""
    fields = {"steps": 1, "negative_prompt": "night", "count": 2, "batch_size": 2, "sampler": "euler"}

    def denoised(prompt: str, **more: Any) -> Tensor:
        *_, last = pipe.stream(gesso.GenerationRequest(prompt, seed=7, **fields, **more))
        return last.denoised

    house, boat, night = (denoised(text, guidance_scale=1) for text in ("a red house", "a boat", "night"))
    expected = night + 5 * 0.75 * (house - night) + 5 * -0.5 * (boat - night)
    both = denoised("a red house :0.75 AND a boat:-0.5", guidance_scale=5)
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-4)


def test_and_without_guidance_still_weighs(pipe: Pipeline) -> None:
    one = latents(pipe, "a house", guidance_scale=1)
    halves = latents(pipe, "a house:0.5 AND a house:0.5", guidance_scale=1)
    torch.testing.assert_close(halves, one, rtol=1e-3, atol=1e-3)
    assert (latents(pipe, "a house AND a house", guidance_scale=1) - one).abs().max() > 1e-3


@pytest.mark.parametrize("prompt", ["a red house AND a boat", "a AND b AND [c|d]"])
def test_the_engine_draws_several_prompts_alike(tiny_model: Path, prompt: str) -> None:
    """Batches of three and four parts, where it looks for what halves have in common."""
    plain = gesso.load(tiny_model, device="cpu", engine="plain")
    fast = gesso.load(tiny_model, device="cpu", engine="shared-prefix,cached-context")
    for batch in (1, 2):
        fields = {"count": batch, "batch_size": batch}
        torch.testing.assert_close(
            latents(fast, prompt, **fields), latents(plain, prompt, **fields), rtol=1e-3, atol=1e-3
        )


# Weights, chunks, literal prompts


def test_each_emphasis_draws_its_own_picture(pipe: Pipeline) -> None:
    drawn = {name: latents(pipe, "a (red:1.6) [[house]]", emphasis=name) for name in EMPHASES}
    names = list(drawn)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert (drawn[one] - drawn[other]).abs().max() > 1e-4, (one, other)
    assert torch.equal(drawn["ignore"], latents(pipe, "a red house"))


@pytest.mark.parametrize("emphasis", EMPHASES)
def test_plain_prompts_are_drawn_the_same_whichever_the_emphasis(pipe: Pipeline, emphasis: str) -> None:
    prompt = "a red house, 4:3; it's #1 | night! " * 5
    expected = latents(pipe, prompt, emphasis="none")
    assert torch.equal(latents(pipe, prompt, emphasis=emphasis), expected)


def test_escaped_is_literal(pipe: Pipeline) -> None:
    text = "a (red:1.6) [house:boat:2] AND <lora:b:1> BREAK \\"
    assert torch.equal(latents(pipe, escape(text)), latents(pipe, text, emphasis="none"))
    assert (latents(pipe, text.replace("<lora:b:1>", "")) - latents(pipe, escape(text))).abs().max() > 1e-3


def test_break_makes_chunks(pipe: Pipeline) -> None:
    ((context,),) = told(pipe, "a house BREAK a boat", negative_prompt="night", steps=1)
    house, boat, night, empty = context_of(pipe, "a house", "a boat", "night", "")
    assert context.shape == (2, 154, 16)
    assert torch.equal(context[1], torch.cat([house, boat]))
    assert torch.equal(context[0], torch.cat([night, empty]))


def test_contexts_of_all_steps_have_one_length(pipe: Pipeline) -> None:
    steps = told(pipe, "[a:" + "night " * 80 + ":1]", steps=2)
    assert [context.shape for (context,) in steps] == [(2, 154, 16)] * 2


def test_long_prompts_may_break_at_commas(pipe: Pipeline) -> None:
    prompt = "night " * 70 + ", " + "red " * 20
    ((context,),) = told(pipe, prompt, steps=1, comma_backtrack=20)
    expected = torch.cat([*context_of(pipe, "night " * 70 + ",", "red " * 20)])
    assert torch.equal(context[1], expected)
    assert not torch.equal(told(pipe, prompt, steps=1)[0][0], context)


def test_too_many_texts_are_refused(pipe: Pipeline) -> None:
    """Where every step would need a context of its own, of many chunks."""
    prompt = "night " * 3100 + "[" + "|".join(map(str, range(100))) + "]"
    with pytest.raises(PromptError, match=r"101 texts of 42 chunks are more than 4,096"):
        latents(pipe, prompt, steps=100)


# Requests


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_request_refuses_a_prompt_it_cannot_read(field: str) -> None:
    fields = {"prompt": "a house", field: "a [house:(boat:nan):3]"}
    with pytest.raises(PromptError, match=rf"^{field}: the weight nan .* at character 16"):
        gesso.GenerationRequest(**fields)
    assert gesso.GenerationRequest(**fields, emphasis="none")


def test_loras_are_kept_in_a_request_and_refused_when_it_is_drawn(pipe: Pipeline) -> None:
    request = gesso.GenerationRequest("a house <lora:ink:0.8>")
    with pytest.raises(PromptError, match=r"not supported yet.*<lora:ink:0\.8> at character 9") as caught:
        next(pipe.stream(request))
    assert caught.value.position == 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"emphasis": "a111"}, 'no emphasis is called "a111". Did you mean "a1111"?'),
        ({"emphasis": "x"}, "Use a1111, no_norm, comfy, compel, ignore, none."),
        ({"emphasis": None}, "None is not a name"),
        ({"comma_backtrack": 76}, "76 is outside 0…75"),
        ({"comma_backtrack": -1}, "-1 is outside 0…75"),
    ],
)
def test_fields_are_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        gesso.GenerationRequest("a", **fields)
    assert message in str(caught.value)
    assert caught.value.where == next(iter(fields))


@pytest.mark.parametrize("emphasis", EMPHASES)
def test_emphasis_is_told_in_a_pictures_parameters(pipe: Pipeline, emphasis: str) -> None:
    request = gesso.GenerationRequest("a (b:1.2)", seed=1, emphasis=emphasis, comma_backtrack=20)
    text = to_parameters(request.resolve(pipe.config), "tiny")
    assert ("Emphasis: " in text) == (emphasis != "a1111")
    fields, _ = from_parameters(text)
    assert fields.get("emphasis", "a1111") == emphasis
    assert gesso.GenerationRequest.from_json(request.to_json()) == request


def test_an_emphasis_nobody_knows_is_kept_aside() -> None:
    fields, unknown = from_parameters("a\nSteps: 2, Sampler: Euler, Emphasis: Sideways, Seed: 1")
    assert "emphasis" not in fields
    assert unknown == {"Emphasis": "Sideways"}
