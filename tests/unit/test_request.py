"""A request holds only what can be drawn, and survives JSON."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.config import SD15, STORYBOOK, AutoencoderConfig, NoiseScheduleConfig
from gesso.diffusion.samplers import OPTIONS, SAMPLERS
from gesso.diffusion.spacing import SCHEDULES
from gesso.errors import PromptError, RequestError
from gesso.pipeline.margins import Margins
from gesso.pipeline.pictures import Picture
from gesso.pipeline.request import GenerationRequest, ResolvedRequest

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
REAL = st.floats(0, 100)
MAY_STAY_OPEN = {
    *OPTIONS,
    *(
        "guidance_interval",
        "freeu",
        "image",
        "strength",
        "mask",
        "expand",
        "variation_seed",
        "seed_resize",
        "tiling",
    ),
    *("hires_scale", "hires_steps"),
    *("batch_index", "discard_penultimate"),
}


@st.composite
def requests(draw: st.DrawFn) -> GenerationRequest:
    sampler = draw(st.sampled_from(sorted(SAMPLERS)))
    side = st.none() | st.integers(1, 1024).map(lambda n: 8 * n)
    return GenerationRequest(
        draw(TEXT),
        negative_prompt=draw(TEXT),
        steps=draw(st.integers(1, 1000)),
        guidance_scale=draw(st.none() | REAL),
        sampler=sampler,
        schedule=draw(st.none() | st.sampled_from(sorted(SCHEDULES))),
        seed=draw(st.none() | st.integers(0, 2**64 - 10_000)),
        count=draw(st.integers(1, 10_000)),
        batch_size=draw(st.integers(1, 64)),
        width=draw(side),
        height=draw(side),
        **{
            name: draw(st.none() | st.floats(*OPTIONS[name]))
            for name in sorted(SAMPLERS[sampler].options - {"s_tmin", "s_tmax"})
        },
        guidance_rescale=draw(st.floats(0, 1)),
        guidance_interval=draw(st.none() | st.sampled_from([(0.0, 1.5), (0.28, 5.42)])),
        clip_skip=draw(st.integers(1, 12)),
    )


@given(requests())
def test_json_round_trip(request: GenerationRequest) -> None:
    text = json.dumps(request.to_json(), allow_nan=False)
    assert GenerationRequest.from_json(json.loads(text)) == request


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("width", 0, "Use 8."),
        ("width", 7, "7 is not a positive multiple of 8. Use 8."),
        ("height", 513, "Use 512 or 520."),
        ("height", -8, "Use 8."),
        ("width", 8193, "outside 8…8192"),
        ("width", 512.0, "not a whole number"),
        ("width", "512", "not a whole number"),
        ("height", True, "True is not a whole number"),
        ("steps", 0, "0 is outside 1…1000"),
        ("steps", -1, "-1 is outside"),
        ("steps", 1001, "1001 is outside 1…1000. Use a whole number from 1 to 1000."),
        ("steps", True, "not a whole number"),
        ("steps", None, "None is not a whole number"),
        ("guidance_scale", float("nan"), "nan is outside 0…100"),
        ("guidance_scale", float("inf"), "inf is outside"),
        ("guidance_scale", -0.1, "outside"),
        ("guidance_scale", 10**400, "outside"),
        ("guidance_scale", True, "not a number"),
        ("guidance_scale", "7.5", "'7.5' is not a number"),
        ("seed", -1, "outside 0…18446744073709551615"),
        ("seed", 2**64, "outside 0…18446744073709551615"),
        ("seed", 1.5, "not a whole number"),
        ("count", 0, "outside"),
        ("batch_size", 0, "outside"),
        ("clip_skip", 13, "outside 1…12"),
        ("sampler", "eulr", 'Did you mean "euler"?'),
        ("sampler", 1, "1 is not a name"),
        ("schedule", "kerras", 'Did you mean "karras"?'),
        ("schedule", 1, "1 is not a name"),
        ("negative_prompt", "\ud800", "character 1 is U+D800"),
        ("negative_prompt", None, "NoneType is not text"),
        ("prompt", b"a cat", "bytes is not text"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_field(field: str, value: object, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        GenerationRequest(**{"prompt": "a cat", field: value})  # pyright: ignore[reportArgumentType]
    assert caught.value.where == field
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


def test_prompts_have_their_own_error() -> None:
    for prompt in ("\udfff", "x" * 10_000_000):
        with pytest.raises(PromptError):
            GenerationRequest(prompt)


def test_numbers_too_long_to_print_are_refused() -> None:
    with pytest.raises(RequestError, match="thousands of digits is outside 1…1000"):
        GenerationRequest("", steps=10**5000)
    with pytest.raises(RequestError, match="thousands of digits is outside 0…100"):
        GenerationRequest("", guidance_scale=10**5000)


def test_eta_needs_a_sampler_that_takes_it() -> None:
    assert GenerationRequest("", sampler="ddim", eta=1).eta == 1.0
    with pytest.raises(RequestError, match="euler takes no eta") as caught:
        GenerationRequest("", sampler="euler", eta=0.5)
    assert caught.value.where == "eta"
    with pytest.raises(RequestError, match="outside 0…1"):
        GenerationRequest("", sampler="ddim", eta=1.5)


def test_every_pictures_seed_is_in_range() -> None:
    assert GenerationRequest("", seed=2**64 - 4, count=4).seed == 2**64 - 4
    with pytest.raises(RequestError, match=f"Use at most {2**64 - 5}"):
        GenerationRequest("", seed=2**64 - 4, count=5)


def test_labels_become_names() -> None:
    request = GenerationRequest("", sampler="DPM++ 2M Karras")
    assert (request.sampler, request.schedule) == ("dpmpp_2m", "karras")
    assert GenerationRequest("", sampler="Euler a").sampler == "euler_ancestral"
    assert GenerationRequest("", sampler="Euler", schedule="Automatic").schedule is None
    assert (
        GenerationRequest("", sampler="DPM++ 2M Karras", schedule="Exponential").schedule == "exponential"
    )


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        GenerationRequest("").steps = 3  # pyright: ignore[reportAttributeAccessIssue]


@given(requests())
def test_resolving_leaves_nothing_open_and_keeps_the_rest(request: GenerationRequest) -> None:
    resolved = request.resolve(SD15)
    for entry in fields(GenerationRequest):
        asked, got = getattr(request, entry.name), getattr(resolved, entry.name)
        assert got == asked if asked is not None else got is not None or entry.name in MAY_STAY_OPEN
    assert resolved.resolve(SD15) == resolved
    assert ResolvedRequest.from_json(resolved.to_json()) == resolved


def test_the_model_decides_what_is_left_open() -> None:
    for config, size, scale in ((SD15, 512, 7.5), (STORYBOOK, 256, 3.0)):
        resolved = GenerationRequest("", sampler="ddim").resolve(config)
        assert (resolved.width, resolved.height, resolved.guidance_scale) == (size, size, scale)
        assert resolved.schedule == "leading"
        assert GenerationRequest("").resolve(config).sampler == config.sampler
    assert (SD15.sampler, STORYBOOK.sampler) == ("dpmpp_2m", "euler_ancestral")


def test_options_wait_for_the_models_sampler() -> None:
    """Whether it takes them is known when it is."""
    request = GenerationRequest("", eta=0.5)
    assert request.resolve(STORYBOOK).eta == 0.5
    with pytest.raises(RequestError, match="dpmpp_2m takes no eta"):
        request.resolve(SD15)
    with pytest.raises(RequestError, match="outside"):
        GenerationRequest("", eta=2.0)


def test_prompts_that_change_by_calls_wait_for_it_too() -> None:
    request = GenerationRequest("a [house:tree:0.5]", prompt_timing="calls")
    assert request.resolve(STORYBOOK).sampler == STORYBOOK.sampler


def test_open_seeds_are_drawn_anew() -> None:
    seeds = {GenerationRequest("").resolve(SD15).seed for _ in range(20)}
    assert len(seeds) > 15
    assert max(seeds) < 2**32


def test_pictures_count_up_from_the_seed() -> None:
    resolved = GenerationRequest("", seed=7, count=3).resolve(SD15)
    assert [resolved.seed_of(index) for index in range(3)] == [7, 8, 9]


@given(count=st.integers(1, 20), batch_size=st.integers(1, 25))
def test_batches_are_the_same_pictures_in_parts(count: int, batch_size: int) -> None:
    resolved = GenerationRequest("", seed=7, count=count, batch_size=batch_size).resolve(SD15)
    batches = list(resolved.batches())
    assert all(batch.count <= batch_size for batch in batches)
    pictures = [batch.picture(index) for batch in batches for index in range(batch.count)]
    assert pictures == [resolved.picture(index) for index in range(count)]
    assert [picture.seed for picture in pictures] == list(range(7, 7 + count))


def test_resolving_checks_the_request_against_the_model() -> None:
    with pytest.raises(RequestError, match="outside 1…4") as caught:
        GenerationRequest("", clip_skip=5).resolve(STORYBOOK)
    assert caught.value.where == "clip_skip"
    short = replace(SD15, noise=NoiseScheduleConfig(steps=50))
    with pytest.raises(RequestError, match="outside 1…50"):
        GenerationRequest("", steps=51).resolve(short)
    coarse = replace(SD15, autoencoder=AutoencoderConfig(block_channels=(8,) * 6))
    with pytest.raises(RequestError, match="Use 64 or 96"):
        GenerationRequest("", width=72, height=64).resolve(coarse)


def test_resolved_requests_have_no_defaults_for_what_was_open() -> None:
    with pytest.raises(TypeError, match="seed"):
        ResolvedRequest("")  # pyright: ignore[reportCallIssue]


def test_unknown_json_fields_are_refused_with_the_nearest() -> None:
    with pytest.raises(RequestError, match="Did you mean guidance_scale") as caught:
        GenerationRequest.from_json({"prompt": "", "guidance": 7})
    assert caught.value.where == "guidance"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "JSON object, not list"),
        ({}, "prompt: it is missing"),
        ({"prompt": "", "version": 2}, "Update gesso"),
        ({"prompt": "", "version": "1"}, "not a whole number"),
        ({"prompt": "", "steps": 0}, "steps: 0 is outside"),
    ],
)
def test_unreadable_json_is_refused(value: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        GenerationRequest.from_json(value)


def test_json_of_an_earlier_gesso_gets_defaults() -> None:
    assert GenerationRequest.from_json({"version": 1, "prompt": "a cat"}) == GenerationRequest("a cat")


def test_importing_it_does_not_import_torch() -> None:
    code = "import sys, gesso.pipeline.request; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", [GenerationRequest, ResolvedRequest])
def test_its_type_hints_can_be_looked_up(kind: type[GenerationRequest]) -> None:
    """As programs do that make a form of a request, or check one."""
    hints = get_type_hints(kind)
    assert set(hints) >= {entry.name for entry in fields(kind)}
    assert Picture in get_args(hints["image"])
    assert Margins in get_args(hints["expand"])
