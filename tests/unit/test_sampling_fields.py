"""What a request may say of its sampler's walk and of its guidance, and where that is written down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gesso.config import SD15
from gesso.diffusion.samplers import OPTIONS, SAMPLERS
from gesso.errors import RequestError
from gesso.pipeline.parameters import from_parameters, to_parameters
from gesso.pipeline.request import GenerationRequest, ResolvedRequest
from gesso.pipeline.sampling_fields import sampler_options


def resolved(**fields: Any) -> ResolvedRequest:
    return GenerationRequest("a cat", seed=7, **fields).resolve(SD15)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=lambda sampler: sampler.name)
def test_functions_have_the_options_they_are_said_to(sampler: Any) -> None:
    keywords = set(sampler.function.__kwdefaults__ or {}) & set(OPTIONS)
    assert keywords == sampler.options


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"sampler": "lms", "eta": 0.5},
            r"^eta: the sampler lms takes no eta\. Leave it out, or use ddim, ",
        ),
        ({"sampler": "ddim", "s_noise": 1.1}, r"^s_noise: the sampler ddim takes no s_noise"),
        (
            {"sampler": "euler_ancestral", "s_churn": 1},
            r"takes no s_churn\. .* or use euler, heun, dpm_2\.",
        ),
        ({"sampler": "euler", "s_churn": -1}, r"^s_churn: -1 is outside 0…1000"),
        ({"sampler": "euler", "s_tmax": float("inf")}, r"^s_tmax: inf is outside 0…10000"),
        ({"sampler": "euler", "s_tmin": 3, "s_tmax": 2}, r"^s_tmin: 3 is above s_tmax, 2, so no noise"),
        ({"sampler": "heun", "s_noise": "loud"}, r"^s_noise: 'loud' is not a number"),
        ({"guidance_rescale": 1.5}, r"^guidance_rescale: 1.5 is outside 0…1"),
        ({"guidance_rescale": None}, r"^guidance_rescale: None is not a number"),
        ({"guidance_interval": (5, 1)}, r"^guidance_interval: 5 is not below 1"),
        (
            {"guidance_interval": "5.42"},
            r"^guidance_interval: '5.42' is no interval\. Use two sigmas, such as",
        ),
        ({"guidance_interval": "a,b"}, r"^guidance_interval: 'a' is not a number"),
        ({"guidance_interval": (0, float("nan"))}, r"^guidance_interval: nan is outside"),
        ({"guidance_interval": 3}, r"^guidance_interval: 3 is no interval"),
        ({"pag_scale": -1}, r"^pag_scale: -1 is outside 0…100"),
        ({"pag_layers": "middle"}, r"^pag_layers: 'middle' is no layer\. Use names such as mid, down"),
        ({"pag_layers": ["mid", 3]}, r"^pag_layers: 3 is no layer"),
        ({"pag_layers": "mid,"}, r"^pag_layers: '' is no layer"),
        ({"pag_layers": []}, r"^pag_layers: \[\] names no layer"),
        ({"pag_layers": None}, r"^pag_layers: None names no layer"),
        ({"sag_scale": "much"}, r"^sag_scale: 'much' is not a number"),
        ({"sag_scale": float("nan")}, r"^sag_scale: nan is outside 0…10"),
        ({"freeu": True}, r"^freeu: True is not four factors\. Use b1,b2,s1,s2, such as"),
        ({"freeu": "1.5,1.6,0.9"}, r"^freeu: '1.5,1.6,0.9' is not four factors"),
        ({"freeu": "a,1,1,1"}, r"^freeu: 'a' is not a number"),
        ({"freeu": (1, 1, 1, 11)}, r"^freeu: 11 is outside 0…10"),
    ],
)
def test_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        GenerationRequest("", **fields)


@pytest.mark.parametrize("written", ["0.28,5.42", "0.28..5.42", [0.28, 5.42], (0.28, 5.42)])
def test_ways_to_write_an_interval(written: Any) -> None:
    assert GenerationRequest("", guidance_interval=written).guidance_interval == (0.28, 5.42)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("mid", ("mid",)),
        (" mid_block, up.1,mid", ("mid", "up.1")),
        (["down_blocks.2", "up_blocks.1.attentions.0", "up.1.0"], ("down.2", "up.1.0")),
    ],
)
def test_ways_to_write_layers(written: Any, kept: tuple[str, ...]) -> None:
    assert GenerationRequest("", pag_layers=written).pag_layers == kept


def test_ways_to_write_freeu() -> None:
    expected = (1.5, 1.6, 0.9, 0.2)
    for written in ("1.5,1.6,.9,0.2", [1.5, 1.6, 0.9, 0.2], ("1.5", "1.6", "0.9", 0.2)):
        assert GenerationRequest("", freeu=written).freeu == expected


def test_only_what_is_set_reaches_the_sampler() -> None:
    assert sampler_options(GenerationRequest("", sampler="euler")) == {}
    request = GenerationRequest("", sampler="euler", s_churn=4, s_tmax=3)
    assert sampler_options(request) == {"s_churn": 4.0, "s_tmax": 3.0}


ALL_SET = {
    "sampler": "heun",
    "s_churn": 4.5,
    "s_tmin": 0.1,
    "s_tmax": 7.0,
    "s_noise": 1.003,
    "guidance_rescale": 0.7,
    "guidance_interval": (0.28, 5.42),
    "pag_scale": 3.0,
    "pag_layers": ("mid", "up.1"),
    "sag_scale": 0.75,
    "freeu": (1.5, 1.6, 0.9, 0.2),
}


def test_they_survive_json_and_parameters() -> None:
    request = resolved(**ALL_SET)
    assert ResolvedRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    fields, unknown = from_parameters(to_parameters(request, "model"))
    again = GenerationRequest.from_json(fields)
    assert {name: getattr(again, name) for name in ALL_SET} == ALL_SET
    assert set(unknown) == {"Model", "Version"}


def test_pictures_that_use_none_say_nothing_of_them() -> None:
    text = to_parameters(resolved(), "model")
    assert not any(word in text for word in ("Sigma", "Eta", "Rescale", "interval", "PAG", "SAG", "FreeU"))


def test_automatic1111s_words() -> None:
    text = (
        "a cat\nSteps: 20, Sampler: DPM++ 2M SDE, Schedule type: SGM Uniform, CFG scale: 7, Seed: 1, "
        "Size: 512x512, Eta: 0.67, Sigma churn: 3, Sigma tmin: 0.05, Sigma tmax: 0, Sigma noise: 1.01, "
        "Version: v1.10"
    )
    fields, unknown = from_parameters(text)
    assert fields["schedule"] == "SGM Uniform"
    options = {name: fields[name] for name in OPTIONS}
    assert options == {"eta": 0.67, "s_churn": 3.0, "s_tmin": 0.05, "s_tmax": None, "s_noise": 1.01}
    assert set(unknown) == {"Version"}
