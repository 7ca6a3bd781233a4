"""A picture says how it was made, and reading it gives the same request."""

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gesso.config import SD15
from gesso.diffusion.rules import NOISE_SOURCES, SIGMA_RULES
from gesso.diffusion.samplers import OPTIONS, SAMPLERS
from gesso.diffusion.spacing import SCHEDULES
from gesso.errors import ImageError, RequestError
from gesso.pipeline.image_rules import IMAGE_RULES
from gesso.pipeline.metadata import png_info, read_request
from gesso.pipeline.parameters import from_parameters, to_parameters
from gesso.pipeline.png_text import MAX_TEXT_BYTES, SIGNATURE, read_png_texts
from gesso.pipeline.reproduction_fields import PROMPT_TIMINGS
from gesso.pipeline.request import GenerationRequest, ResolvedRequest

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
HOSTILE = st.sampled_from(
    [
        "",
        "Steps: 1, Sampler: Euler, Seed: 2",
        "Negative prompt: b",
        "a\nNegative prompt: b",
        'x", y: "z',
        "\n\n",
    ]
)


@st.composite
def resolved_requests(draw: st.DrawFn) -> ResolvedRequest:
    sampler = draw(st.sampled_from(sorted(SAMPLERS)))
    return GenerationRequest(
        draw(TEXT | HOSTILE),
        negative_prompt=draw(TEXT | HOSTILE),
        steps=draw(st.integers(1, 1000)),
        guidance_scale=draw(st.floats(0, 100)),
        sampler=sampler,
        schedule=draw(st.none() | st.sampled_from(sorted(SCHEDULES))),
        seed=draw(st.integers(0, 2**64 - 10)),
        count=draw(st.integers(1, 10)),
        width=8 * draw(st.integers(1, 1024)),
        **{
            name: draw(st.none() | st.floats(*OPTIONS[name]))
            for name in sorted(SAMPLERS[sampler].options - {"s_tmin", "s_tmax"})
        },
        guidance_rescale=draw(st.floats(0, 1)),
        guidance_interval=draw(st.none() | st.sampled_from([(0.0, 1.5), (0.28, 5.42)])),
        clip_skip=draw(st.integers(1, 12)),
        noise_source=draw(st.sampled_from(NOISE_SOURCES)),
        eta_seed_delta=draw(st.integers(-(2**40), 2**40)),
        batch_index=draw(st.none() | st.integers(0, 4000)),
        sigma_rules=draw(st.sampled_from(sorted(SIGMA_RULES))),
        discard_penultimate=draw(st.none() | st.booleans()),
        image_rules=draw(st.sampled_from(IMAGE_RULES)),
        prompt_timing=draw(st.sampled_from(PROMPT_TIMINGS)),
        pad_prompts=draw(st.booleans()),
        comma_backtrack=draw(st.integers(0, 75)),
    ).resolve(SD15)


def cat(**fields: object) -> ResolvedRequest:
    asked = {"prompt": "a cat", "seed": 7, "sampler": "DPM++ 2M Karras", **fields}
    return GenerationRequest.from_json(asked).resolve(SD15)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(tmp_path: Path, *chunks: bytes) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(SIGNATURE + chunk(b"IHDR", bytes(13)) + b"".join(chunks) + chunk(b"IEND", b""))
    return path


def saved(tmp_path: Path, info: PngInfo) -> Path:
    path = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def test_parameters_read_as_people_know_them() -> None:
    request = cat(negative_prompt="dog, blurry", count=3)
    text = to_parameters(request, "sd, v1.5", index=2)
    assert text.splitlines()[:2] == ["a cat", "Negative prompt: dog, blurry"]
    assert text.splitlines()[2].startswith(
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 9, Size: 512x512, "
        'Model: "sd, v1.5", RNG: CPU, Version: gesso '
    )


@given(resolved_requests())
def test_parameters_round_trip(request: ResolvedRequest) -> None:
    fields, unknown = from_parameters(to_parameters(request, 'a: "b", c\nd'))
    expected = request.picture(0)
    if any(line.startswith("Negative prompt:") for line in request.prompt.split("\n")):
        fields |= {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    assert GenerationRequest.from_json(fields).resolve(SD15) == expected
    assert unknown["Model"] == 'a: "b", c\nd'


@given(resolved_requests(), st.integers(0, 3))
def test_pictures_round_trip_exactly(
    tmp_path_factory: pytest.TempPathFactory, request: ResolvedRequest, index: int
) -> None:
    read = read_request(saved(tmp_path_factory.mktemp("pictures"), png_info(request, "sd15", index)))
    assert read.request().resolve(SD15) == request.picture(index)
    assert (read.model, read.unknown, read.source) == ("sd15", {}, "gesso")


@given(TEXT)
@example("Steps: x, Sampler: y, Seed: z")
@example('a: "b, c: "\\q, d: \\"')
def test_any_parameters_are_read_or_refused(text: str) -> None:
    try:
        fields, _ = from_parameters(text)
    except RequestError:
        return
    assert isinstance(fields["prompt"], str)


def test_text_without_settings_is_all_prompt() -> None:
    fields, unknown = from_parameters("a cat: large, black\nin the rain: wet")
    assert fields == {"prompt": "a cat: large, black\nin the rain: wet", "negative_prompt": ""}
    assert unknown == {}


def test_parameters_of_automatic1111_are_read() -> None:
    text = (
        "masterpiece, (a cat:1.2),\nsitting <lora:fur:0.5>\n"
        "Negative prompt: lowres,\nbad anatomy\n"
        "Steps: 28, Sampler: Euler a, CFG scale: 7, Seed: 1234, Size: 512x768, Model hash: 6ce0161689, "
        "Model: v1-5-pruned-emaonly, Denoising strength: 0.5, Clip skip: 2, Eta: 0.5, "
        "Hires upscale: 1.5, Hires steps: 10, Hires upscaler: Latent (nearest), "
        'Lora hashes: "fur: 0123abcd, b: 4567", Hires prompt: "say \\"hi\\",\\nthere", Version: v1.10.1\n'
    )
    fields, unknown = from_parameters(text)
    request = GenerationRequest.from_json(fields)
    assert request == GenerationRequest(
        "masterpiece, (a cat:1.2),\nsitting <lora:fur:0.5>",
        negative_prompt="lowres,\nbad anatomy",
        steps=28,
        sampler="euler_ancestral",
        guidance_scale=7,
        seed=1234,
        width=512,
        height=768,
        clip_skip=2,
        eta=0.5,
        hires_scale=1.5,
        hires_steps=10,
        hires_strength=0.5,
        hires_upscaler="latent_nearest",
        schedule="uniform",  # it was the only one before version 1.9, and is named since
    )
    assert unknown == {
        "Model hash": "6ce0161689",
        "Model": "v1-5-pruned-emaonly",
        "Lora hashes": "fur: 0123abcd, b: 4567",
        "Hires prompt": 'say "hi",\nthere',
        "Version": "v1.10.1",
    }


def test_pictures_of_others_are_read_from_parameters(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "猫\nSteps: 5, Sampler: DDIM, Seed: 3, Model: m, User: me", zip=True)
    read = read_request(saved(tmp_path, info))
    like = GenerationRequest.from_json(
        {"prompt": "猫", "steps": 5, "sampler": "ddim", "seed": 3, "like": "a1111"}
    )
    assert read.request() == replace(like, guidance_scale=None)
    assert (read.model, read.unknown, read.source) == ("m", {"User": "me"}, "parameters")


def test_sampler_gesso_lacks_can_be_replaced(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a\nSteps: 5, Sampler: Nobody's, Seed: 3")
    read = read_request(saved(tmp_path, info))
    with pytest.raises(RequestError, match="Nobody"):
        read.request()
    assert read.request(sampler="euler").sampler == "euler"


@pytest.mark.parametrize("name", ["Steps", "CFG scale", "Size", "Seed", "Eta"])
def test_damaged_setting_is_named(tmp_path: Path, name: str) -> None:
    info = PngInfo()
    info.add_text("parameters", f"a\nA: 1, B: 2, {name}: many")
    with pytest.raises(ImageError, match=rf"picture\.png: .*{name}: 'many' cannot be read"):
        read_request(saved(tmp_path, info))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"request": 3}', "[" * 100_000, '{"request": null}', "null"]
)
def test_damaged_own_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImageError, match="gesso text is damaged"):
        read_request(png_with(tmp_path, chunk(b"tEXt", b"gesso\0" + text.encode())))


def test_own_text_with_a_bad_request_is_refused_by_field(tmp_path: Path) -> None:
    own = json.dumps({"request": {"prompt": "\ud800"}})
    path = png_with(tmp_path, chunk(b"tEXt", b"gesso\0" + own.encode()))
    with pytest.raises(RequestError, match="surrogate"):
        read_request(path).request()


def test_model_name_that_is_no_unicode_can_be_saved(tmp_path: Path) -> None:
    read = read_request(saved(tmp_path, png_info(cat(), "mod\udce9le")))
    assert read.request().prompt == "a cat"


@given(
    st.lists(st.tuples(st.sampled_from(["gesso", "parameters", "Title"]), TEXT, st.booleans()), max_size=5)
)
def test_texts_equal_those_pillow_reads(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, bool]]
) -> None:
    info = PngInfo()
    first: dict[str, str] = {}
    for keyword, text, compressed in texts:
        if keyword not in first:
            first[keyword] = text
            info.add_text(keyword, text, zip=compressed)
    path = saved(tmp_path_factory.mktemp("pictures"), info)
    with Image.open(path) as picture:
        picture.load()
        theirs = {key: str(text) for key, text in picture.text.items()}  # pyright: ignore
    assert read_png_texts(path, ("gesso", "parameters", "Title")) == theirs == first


def test_text_after_the_pixels_is_found(tmp_path: Path) -> None:
    path = png_with(tmp_path, chunk(b"IDAT", b"x" * 1000), chunk(b"tEXt", b"gesso\0late"))
    assert read_png_texts(path, ("gesso",)) == {"gesso": "late"}


def test_first_of_several_texts_counts(tmp_path: Path) -> None:
    path = png_with(tmp_path, chunk(b"tEXt", b"gesso\0one"), chunk(b"tEXt", b"gesso\0two"))
    assert read_png_texts(path, ("gesso",)) == {"gesso": "one"}


BOMB = zlib.compress(bytes(50 * MAX_TEXT_BYTES))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (chunk(b"zTXt", b"gesso\0\0" + BOMB), "more than 1,048,576 bytes"),
        (chunk(b"iTXt", b"gesso\0\1\0\0\0" + BOMB), "more than 1,048,576 bytes"),
        (chunk(b"tEXt", b"gesso\0" + bytes(MAX_TEXT_BYTES)), "more than 1,048,576 bytes"),
        (struct.pack(">I4s", 2**32 - 1, b"tEXt") + b"gesso\0", "more than 1,048,576 bytes"),
        (struct.pack(">I4s", 50, b"tEXt") + b"gesso\0cut", "cut short"),
        (chunk(b"tEXt", b"gesso\0a")[:-1] + b"!", "checksum"),
        (chunk(b"zTXt", b"gesso\0\0not zlib"), "not readable"),
        (chunk(b"iTXt", b"gesso\0\0\0\0\0\xff\xff"), "not readable"),
        (b"", "carries no request"),
        (chunk(b"tEXt", b"Title\0x"), "carries no request"),
        (struct.pack(">I4s", 2**32 - 1, b"IDAT"), "carries no request"),
        (b"\0\0", "carries no request"),
    ],
)
def test_hostile_and_damaged_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(SIGNATURE + chunk(b"IHDR", bytes(13)) + data)
    with pytest.raises(ImageError, match=message) as caught:
        read_request(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("content", [b"", b"<html>", b"GIF89a\0\0\0", SIGNATURE[:7]])
def test_what_is_no_png_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="not a PNG, JPEG or WebP file"):
        read_request(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        read_request(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="directory"):
        read_request(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    path.write_bytes(SIGNATURE + data)
    with pytest.raises(ImageError):
        read_request(path)
