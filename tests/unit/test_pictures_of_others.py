"""Pictures that AUTOMATIC1111, Forge and ComfyUI saved give their requests back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gesso.errors import GessoError, ImageError, RequestError
from gesso.pipeline.exif_text import EXIF, user_comment
from gesso.pipeline.metadata import read_request
from gesso.pipeline.parameters import from_parameters
from gesso.pipeline.profiles import PROFILES
from gesso.pipeline.request import GenerationRequest

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
A1111 = "a cat\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 3, Size: 64x64"


def png(tmp_path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    path = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def with_comment(path: Path, comment: bytes, **options: Any) -> Path:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    Image.new("RGB", (8, 8)).save(path, exif=exif, **options)
    return path


def said(settings: str) -> dict[str, Any]:
    fields, _ = from_parameters(f"a\nSteps: 20, Sampler: Euler a, Seed: 1, {settings}")
    return fields


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-16"])
def test_parameters_in_exif(tmp_path: Path, suffix: str, encoding: str) -> None:
    comment = b"UNICODE\0" + A1111.replace("cat", "貓 cat").encode(encoding)
    read = read_request(with_comment(tmp_path / f"picture.{suffix}", comment))
    assert (read.fields["prompt"], read.fields["seed"], read.like) == ("a 貓 cat", 3, "a1111")


@pytest.mark.parametrize(("code", "encoding"), [(b"ASCII\0\0\0", "ascii"), (bytes(8), "utf-8")])
def test_other_character_codes(tmp_path: Path, code: bytes, encoding: str) -> None:
    path = with_comment(tmp_path / "picture.jpg", code + A1111.encode(encoding), quality=5)
    assert read_request(path).fields["prompt"] == "a cat"


@given(TEXT, st.booleans())
def test_comments_equal_those_pillow_wrote(text: str, with_other_tags: bool) -> None:
    exif = Image.Exif()
    if with_other_tags:
        exif[0x010E], exif[0x0112] = "a longer description", 6
        exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + b"\xfe\xff" + text.encode("utf-16-be")
    assert user_comment(exif.tobytes().removeprefix(EXIF)) == text


@given(st.binary(max_size=200))
def test_any_exif_block_is_read_or_says_nothing(data: bytes) -> None:
    for order in (b"", b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0", b"MM\0*\0\0\0\x08\0\x01"):
        comment = user_comment(order + data)
        assert comment is None or isinstance(comment, str)


@given(
    st.binary(max_size=200), st.sampled_from([b"\xff\xd8", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPEXIF"])
)
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, header: bytes
) -> None:
    path = tmp_path_factory.mktemp("pictures") / "picture"
    path.write_bytes(header + data)
    with pytest.raises(ImageError):
        read_request(path)


def test_exif_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.webp"
    path.write_bytes(b"RIFF\0\0\0\0WEBPEXIF" + (2**31).to_bytes(4, "little"))
    with pytest.raises(ImageError, match="more than 1,048,576 bytes"):
        read_request(path)


@pytest.mark.parametrize(
    ("version", "like"),
    [
        (", Version: v1.10.1", "a1111"),
        (", Version: 1.5.2", "a1111"),
        ("", "a1111"),
        (", Version: f2.0.1v1.10.1-previous-669-gdfdcbab6", "forge"),
        (", Version: ComfyUI", "comfyui"),
        (", App: SD.Next, Version: a2b3c4d", None),
        (", Version: gesso 0.1.0", None),
    ],
)
def test_the_program_that_wrote_it(tmp_path: Path, version: str, like: str | None) -> None:
    read = read_request(png(tmp_path, parameters=A1111 + version))
    assert read.like == like
    customs = PROFILES[like].customs if like else {}
    request = read.request().to_json()
    assert {name: request[name] for name in customs} == customs


def test_what_a1111_leaves_out_is_its_default_and_what_it_says_is_not(tmp_path: Path) -> None:
    text = f"{A1111}, ENSD: 31337, RNG: CPU, Pad conds: True, Version: v1.10.1"
    request = read_request(png(tmp_path, parameters=text)).request(steps=5)
    assert (request.eta_seed_delta, request.noise_source, request.pad_prompts) == (31337, "cpu", True)
    assert (request.comma_backtrack, request.prompt_timing, request.steps) == (20, "calls", 5)


def test_another_program_can_be_asked_for(tmp_path: Path) -> None:
    read = read_request(png(tmp_path, parameters=f"{A1111}, RNG: CPU"))
    request = read.request(like="comfyui", clip_skip=-2)
    assert (request.sigma_rules, request.noise_source, request.clip_skip) == ("comfy", "cpu", 2)
    with pytest.raises(RequestError, match='like: no profile is called "a111"'):
        read.request(like="a111")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("RNG: NV", {"noise_source": "cuda"}),
        ("RNG: GPU", {"noise_source": "cuda"}),
        ("ENSD: -3", {"eta_seed_delta": -3}),
        ("Discard penultimate sigma: True", {"discard_penultimate": True}),
        ("Size: 512x768, Hires resize: 1024x1536", {"hires_scale": 2.0}),
        ("Size: 512x768, Hires resize: 768x0", {"hires_scale": 1.5}),
        ("Size: 512x768, Hires resize: 0x1000", {"hires_scale": 1000 / 768}),
        (
            "Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: Latent",
            {"hires_strength": 0.4, "hires_scale": 2.0},
        ),
        ("Denoising strength: 0.4, Mask blur: 8", {"strength": 0.4, "mask_blur": 8}),
        (
            "Variation seed: 4, Variation seed strength: 0.2",
            {"variation_seed": 4, "variation_strength": 0.2},
        ),
        ('Lora hashes: "a: 1, b: 2", Eta: 0.5', {"eta": 0.5}),
        ('Civitai resources: [{"type": "lora", "Seed: 5": 6}], Clip skip: 2', {"clip_skip": 2, "seed": 1}),
        ("Civitai metadata: {}, Tiling: True", {"tiling": "both"}),
    ],
)
def test_settings(settings: str, expected: dict[str, Any]) -> None:
    fields = said(settings)
    assert {name: fields[name] for name in expected} == expected


@pytest.mark.parametrize(
    "settings",
    ["Size: 512x768, Hires resize: 1000x1000", "Hires resize: 1024x1024", "Size: 0x0, Hires resize: 9x9"],
)
def test_what_cannot_be_said_is_reported(settings: str) -> None:
    _, unknown = from_parameters(f"a\nSteps: 20, Sampler: Euler a, {settings}, Face restoration: GFPGAN")
    assert set(unknown) == {"Hires resize", "Face restoration"}


@pytest.mark.parametrize(
    ("sampler", "schedule", "meant"),
    [
        ("DPM++ 2M Karras", "", ("dpmpp_2m", "karras")),
        ("DPM++ 2M", "", ("dpmpp_2m", "uniform")),
        ("DPM++ 2M", "Karras", ("dpmpp_2m", "karras")),
        ("DPM++ 2M", "Automatic", ("dpmpp_2m", None)),
        ("DPM++ 2M SDE Heun Exponential", "", ("dpmpp_2m_sde_heun", "exponential")),
        ("Euler", "karras", ("euler", "karras")),
        ("DDIM", "Karras", ("ddim", None)),
        ("DDIM", "", ("ddim", None)),
        ("UniPC", "", ("unipc", None)),
    ],
)
def test_schedule_types_of_old_and_new_versions(
    tmp_path: Path, sampler: str, schedule: str, meant: tuple[str, str | None]
) -> None:
    kind = f", Schedule type: {schedule}" if schedule else ""
    text = f"a\nSteps: 20, Sampler: {sampler}{kind}, Seed: 1, Version: v1.7.0"
    request = read_request(png(tmp_path, parameters=text)).request()
    assert (request.sampler, request.schedule) == meant


def test_hashes_are_reported(tmp_path: Path) -> None:
    text = f'<lora:fur:1> {A1111}, Model hash: 6ce0161689, Model: sd, Lora hashes: "fur: 01ab, b: 45"'
    read = read_request(png(tmp_path, parameters=f"{text}, Version: v1.10.1"))
    assert (read.model, read.model_hash, read.version) == ("sd", "6ce0161689", "v1.10.1")
    assert (read.lora_hashes, read.unknown) == ({"fur": "01ab", "b": "45"}, {})
    assert read.fields["prompt"] == "<lora:fur:1> a cat"


def graph(**changes: Any) -> dict[str, Any]:
    """ComfyUI's default graph."""
    nodes: dict[str, Any] = {
        "3": (
            "KSampler",
            {
                "seed": 156680208700286,
                "steps": 20,
                "cfg": 8,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        ),
        "4": ("CheckpointLoaderSimple", {"ckpt_name": "v1-5-pruned-emaonly.safetensors"}),
        "5": ("EmptyLatentImage", {"width": 512, "height": 512, "batch_size": 1}),
        "6": ("CLIPTextEncode", {"text": "purple galaxy bottle", "clip": ["4", 1]}),
        "7": ("CLIPTextEncode", {"text": "text, watermark", "clip": ["4", 1]}),
        "8": ("VAEDecode", {"samples": ["3", 0], "vae": ["4", 2]}),
        "9": ("SaveImage", {"filename_prefix": "ComfyUI", "images": ["8", 0]}),
    }
    for place, inputs in changes.items():
        kind, old = nodes.get(place[1:], ("", {}))
        nodes[place[1:]] = inputs if isinstance(inputs, tuple) else (kind, {**old, **inputs})
    return {place: {"class_type": kind, "inputs": inputs} for place, (kind, inputs) in nodes.items()}


def test_comfyui_default_graph(tmp_path: Path) -> None:
    read = read_request(png(tmp_path, prompt=json.dumps(graph()), workflow="{}"))
    assert (read.model, read.source) == ("v1-5-pruned-emaonly.safetensors", "comfyui")
    request = read.request()
    assert request == GenerationRequest.from_json(
        {
            "prompt": "purple galaxy bottle",
            "negative_prompt": "text, watermark",
            "seed": 156680208700286,
            "width": 512,
            "height": 512,
            "like": "comfyui",
        }
    )
    assert (request.sampler, request.schedule, request.guidance_scale) == ("euler", "normal", 8.0)
    assert (request.noise_source, request.sigma_rules, request.batch_index) == ("cpu_then_cuda", "comfy", 0)


def test_comfyui_graph_with_clip_skip_and_a_batch(tmp_path: Path) -> None:
    nodes = graph(
        n10=("CLIPSetLastLayer", {"stop_at_clip_layer": -2, "clip": ["4", 1]}),
        n6={"clip": ["10", 0], "text": "a [dark] (red:1.2) AND blue|<lora:x:1>"},
        n5={"batch_size": 3},
    )
    request = read_request(png(tmp_path, prompt=json.dumps(nodes))).request()
    assert (request.clip_skip, request.count, request.batch_index) == (2, 3, 0)
    assert request.prompt == r"a \[dark\] (red:1.2) \AND blue\|\<lora:x:1>"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (graph(n11=("ControlNetApply", {})), "not read: it has ControlNetApply"),
        (graph(n11=("KSampler", {})), "2 KSamplers"),
        (graph(n3={"seed": ["11", 0]}), "not connected"),
        (graph(n3={"denoise": 0.5}), "not connected"),
        (graph(n3={"positive": ["5", 0]}), "not connected"),
        (graph(n3={"model": "4"}), "not connected"),
        (graph(n6={"text": ["4", 0]}), "not connected"),
        ({str(i): {"class_type": "KSampler", "inputs": {}} for i in range(201)}, "201 nodes"),
        ({"3": 4}, "damaged"),
        ([], "damaged"),
    ],
)
def test_other_graphs_are_refused(tmp_path: Path, nodes: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        read_request(png(tmp_path, prompt=json.dumps(nodes)))
    assert caught.value.where is not None


def test_workflow_alone_and_damaged_graphs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="how the editor showed it"):
        read_request(png(tmp_path, workflow=json.dumps(graph())))
    for text in ("{", "[" * 100_000, "null"):
        with pytest.raises(ImageError, match="damaged"):
            read_request(png(tmp_path, prompt=text))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 99)
    | st.sampled_from(["3", "4", "5", "6", "KSampler", "euler"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class_type", "inputs"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["n3", "n4", "n5", "n6", "n7"]), st.text(max_size=5), JSON, st.booleans())
def test_any_graph_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: str, name: str, value: Any, whole: bool
) -> None:
    nodes = graph()
    inputs = nodes[place[1:]]["inputs"]
    if whole:
        nodes[place[1:]] = value
    else:
        inputs[name if name else sorted(inputs)[0]] = value
    path = png(tmp_path_factory.mktemp("pictures"), prompt=json.dumps(nodes))
    try:
        request = read_request(path).request()
    except GessoError:
        return
    assert isinstance(request, GenerationRequest)
