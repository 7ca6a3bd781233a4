"""What is done with pictures: the seed contract in every task, and what each leaves as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import gesso
from gesso.diffusion.variation import centred, slerp
from gesso.engine.cpu.packed_conv import PackedConv2d
from gesso.errors import RequestError
from gesso.pipeline.images import from_pil
from gesso.pipeline.inpainting import shrink
from gesso.pipeline.metadata import png_info, read_request
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.tiling import tiled

PROMPT = "a red house"
SIDE = 32
ENGINE = "channels-last,winograd,packed-weights,fused-resnet,tiled-products,shared-prefix,cached-context"


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def image() -> Image.Image:
    across, down = np.meshgrid(np.linspace(0, 5, SIDE), np.linspace(0, 4, SIDE))
    colours = np.stack([np.sin(across), np.cos(down), np.sin(across * down)], axis=-1)
    return Image.fromarray((colours * 120 + 127).astype(np.uint8))


@pytest.fixture(scope="module")
def mask() -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (8, 8, 24, 24))
    return mask


@pytest.fixture(scope="module")
def tasks(image: Image.Image, mask: Image.Image) -> dict[str, dict[str, Any]]:
    return {
        "image to image": {"image": image, "strength": 0.7},
        "inpainting": {"image": image, "mask": mask},
        "outpainting": {"image": image, "expand": "left=16"},
        "only masked": {"image": image.resize((51, 43)), "mask": mask, "only_masked": True},
        "hires, latent": {"width": SIDE, "height": SIDE, "hires_scale": 1.5},
        "hires, lanczos": {
            "width": SIDE,
            "height": SIDE,
            "hires_scale": 1.5,
            "hires_upscaler": "lanczos",
        },
        "tiling": {"width": SIDE, "height": SIDE, "tiling": "both"},
        "seed resize": {"width": SIDE, "height": SIDE, "seed_resize": (48, 16)},
    }


TASKS = ["image to image", "inpainting", "outpainting", "only masked"]
TASKS += ["hires, latent", "hires, lanczos", "tiling", "seed resize"]
Draw = Callable[..., list[np.ndarray]]


@pytest.fixture(scope="module")
def draw(pipe: Pipeline) -> Draw:
    def call(**fields: Any) -> list[np.ndarray]:
        fields = {"steps": 3, "seed": 7, "sampler": "euler_ancestral", "guidance_scale": 2, **fields}
        return [np.asarray(picture).astype(int) for picture in pipe(PROMPT, **fields).images]

    return call


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_is_the_same_alone_or_in_a_batch(
    draw: Draw, task: str, tasks: dict[str, dict[str, Any]]
) -> None:
    together = draw(**tasks[task], count=3, batch_size=3)
    alone = [draw(**tasks[task], seed=seed)[0] for seed in (7, 8, 9)]
    for one, other in zip(together, alone, strict=True):
        assert np.abs(one - other).max() <= 1
    assert np.abs(together[0] - together[1]).mean() > 1


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_says_how_it_was_made(
    pipe: Pipeline, task: str, tasks: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    fields = dict(tasks[task])
    for name in ("image", "mask"):
        if name in fields:
            fields[name].save(path := tmp_path / f"{name}.png")
            fields[name] = str(path)
    result = pipe(PROMPT, steps=2, **fields)
    path = tmp_path / "drawn.png"
    result.images[0].save(path, pnginfo=png_info(result.request, "tiny"))
    again = read_request(path).request()
    assert again.to_json() == result.request.to_json()
    np.testing.assert_array_equal(np.asarray(pipe(again).images[0]), np.asarray(result.images[0]))
    assert json.loads(json.dumps(result.request.to_json())) == result.request.to_json()


@pytest.mark.parametrize("task", TASKS)
def test_nothing_stays_on_the_pipeline(
    pipe: Pipeline, draw: Draw, task: str, tasks: dict[str, dict[str, Any]]
) -> None:
    def state() -> list[object]:
        modules = [*pipe.unet.modules(), *pipe.autoencoder.modules()]
        return [(type(module), list(vars(module)), len(module._forward_hooks)) for module in modules]

    before, plain = state(), draw(width=SIDE, height=SIDE)
    draw(**tasks[task])
    assert state() == before
    np.testing.assert_array_equal(draw(width=SIDE, height=SIDE)[0], plain[0])


# Image to image and inpainting


def test_strength_is_how_much_changes(draw: Draw, image: Image.Image, pipe: Pipeline) -> None:
    with torch.no_grad():
        mean = pipe.autoencoder.encode(from_pil(image))
    seen = np.asarray(pipe.decode(mean)[0]).astype(int)
    options = {"image": image, "steps": 10, "sampler": "euler"}
    changes = [np.abs(draw(strength=strength, **options)[0] - seen).mean() for strength in (0.1, 0.5, 1.0)]
    assert changes == sorted(changes)


def test_strength_left_open_depends_on_the_mask(
    pipe: Pipeline, image: Image.Image, mask: Image.Image
) -> None:
    def strength(**fields: Any) -> float | None:
        return gesso.GenerationRequest("", **fields).resolve(pipe.config).strength

    assert strength() is None
    assert strength(image=image) == 0.8
    assert strength(image=image, mask=mask) == strength(image=image, expand="left=8") == 1.0
    assert strength(image=image, mask=mask, strength=0.3) == 0.3


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("fields", [{}, {"only_masked": True, "mask_padding": 4}, {"mask_blur": 0}])
def test_what_is_not_masked_is_the_picture(
    draw: Draw, image: Image.Image, mask: Image.Image, fields: dict[str, Any], strength: float
) -> None:
    (drawn,) = draw(image=image, mask=mask, strength=strength, **fields)
    outside = np.asarray(mask) == 0
    np.testing.assert_array_equal(drawn[outside], np.asarray(image)[outside])
    assert np.abs(drawn - np.asarray(image))[~outside].mean() > 5


def test_only_the_last_steps_are_walked(pipe: Pipeline, image: Image.Image) -> None:
    request = gesso.GenerationRequest(PROMPT, image=image, steps=10, strength=0.35, seed=1)
    steps = list(pipe.stream(request))
    assert [step.index for step in steps] == [0, 1, 2]
    assert request.resolve(pipe.config).walked_steps == 3
    assert float(steps[0].sigma) < 3


def test_fine_masks_are_not_lost() -> None:
    line = torch.zeros(1, 1, 16, 16)
    line[..., 4:6] = 1
    assert shrink(line, 8).tolist() == [[[[1, 0], [1, 0]]]]
    corner = torch.zeros(1, 1, 16, 16)
    corner[..., :9, :9] = 1
    assert shrink(corner, 8).tolist() == [[[[1, 1], [1, 1]]]]


# Variations


def test_variations_lead_from_one_seed_to_another(draw: Draw) -> None:
    small = {"width": SIDE, "height": SIDE, "sampler": "euler"}
    (own,), (other,) = draw(seed=3, **small), draw(seed=4, **small)
    ends = draw(seed=3, variation_seed=4, variation_strength=1.0, **small)
    assert np.abs(ends[0] - other).max() <= 1
    (near,) = draw(seed=3, variation_seed=4, variation_strength=0.1, **small)
    assert 0 < np.abs(near - own).mean() < np.abs(near - other).mean()


def test_variations_count_up_from_the_variations_seed(draw: Draw, pipe: Pipeline) -> None:
    small = {"width": SIDE, "height": SIDE, "variation_strength": 0.5}
    together = draw(seed=3, variation_seed=4, count=2, batch_size=2, **small)
    alone = draw(seed=3, variation_seed=5, **small)
    assert np.abs(together[1] - alone[0]).max() <= 1
    resolved = gesso.GenerationRequest("", seed=3, count=3, variation_strength=0.5).resolve(pipe.config)
    assert [resolved.seed_of(index) for index in range(3)] == [3, 3, 3]
    assert resolved.variation_seed is not None
    assert resolved.picture(2).variation_seed == resolved.variation_seed + 2


def test_slerp_keeps_lengths_and_divides_angles() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1, 4, 64, 32, generator=generator).double()
    half = slerp(one, other, 0.5)
    assert abs(float(half.std()) - 1) < 0.05

    def angle(a: Tensor, b: Tensor) -> Tensor:
        return torch.acos(torch.nn.functional.cosine_similarity(a, b, dim=-2))

    equal = slerp(one, other / other.norm(dim=-2, keepdim=True) * one.norm(dim=-2, keepdim=True), 0.25)
    torch.testing.assert_close(equal.norm(dim=-2), one.norm(dim=-2))
    torch.testing.assert_close(angle(one, equal), angle(one, other) / 4)
    torch.testing.assert_close(slerp(one, one, 0.3), one)


def test_the_noise_of_another_size_is_in_the_middle() -> None:
    small, large = torch.ones(1, 1, 2, 4), torch.zeros(1, 1, 4, 6)
    assert centred(small, large)[0, 0].tolist() == [
        [0] * 6,
        [0, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 0],
        [0] * 6,
    ]
    numbered = torch.arange(6.0).expand(1, 1, 4, 6)
    assert centred(numbered, torch.zeros(1, 1, 2, 4))[0, 0].tolist() == [[1, 2, 3, 4]] * 2
    assert large.sum() == 0


def test_a_resized_seed_looks_alike(draw: Draw) -> None:
    (wide,) = draw(width=48, height=SIDE, seed_resize=(SIDE, SIDE), sampler="euler")
    (own,) = draw(width=SIDE, height=SIDE, sampler="euler")
    (unlike,) = draw(width=48, height=SIDE, sampler="euler")
    assert np.abs(wide[:, 8:40] - own).mean() < np.abs(unlike[:, 8:40] - own).mean() / 2


# Tiling


def rolled(x: Tensor, down: int, across: int) -> Tensor:
    return x.roll((down, across), dims=(-2, -1))


@pytest.mark.parametrize(
    ("engine", "tiling", "moves"),
    [
        ("plain", "both", (2, 4)),
        ("plain", "x", (0, 4)),
        ("plain", "y", (2, 0)),
        (ENGINE, "both", (2, 4)),
    ],
)
def test_tiling_networks_know_no_edge(
    tiny_model: Path, engine: str, tiling: str, moves: tuple[int, int]
) -> None:
    """Moved around the edge, what goes in comes out moved."""
    pipe = gesso.load(tiny_model, device="cpu", engine=engine)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    inputs = torch.tensor([300.0, 300.0]), torch.randn(2, 77, 16)
    down, across = moves
    with torch.inference_mode():
        unet, autoencoder = tiled(pipe.unet, tiling), tiled(pipe.autoencoder, tiling)
        assert not any(isinstance(each, PackedConv2d) for each in (*unet.modules(), *autoencoder.modules()))
        for network, factor in ((lambda x: unet(x, *inputs), 1), (autoencoder.decode, 8)):
            moved = network(rolled(latents, down, across))
            expected = rolled(network(latents), factor * down, factor * across)
            torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-4)
            other_way = rolled(network(latents), factor * (2 - down), factor * (4 - across))
            if tiling != "both":
                still = network(rolled(latents, 2 - down, 4 - across))
                assert (still - other_way).abs().max() > 1e-3
        plain = pipe.unet(latents, *inputs)
        assert (plain - unet(latents, *inputs)).abs().max() > 1e-3
        torch.testing.assert_close(pipe.unet(latents, *inputs), plain, rtol=0, atol=0)


def test_a_view_shares_its_weights(pipe: Pipeline) -> None:
    view = tiled(pipe.unet, "x")
    assert view is not pipe.unet
    assert [*map(id, view.parameters())] == [*map(id, pipe.unet.parameters())]
    assert tiled(pipe.unet, None) is pipe.unet
    with pytest.raises(RequestError, match=r"tiling: 'z' is unknown\. Use x, y, both"):
        gesso.GenerationRequest("", tiling="z")


# Refusals


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hires_scale": 0.5}, "hires_scale: 0.5 is outside 1…8"),
        ({"hires_scale": 2, "hires_strength": 0}, "hires_strength: 0 changes nothing"),
        ({"hires_scale": 2, "hires_steps": 1, "hires_strength": 0.5}, "hires_strength: 0.5 of 1 steps"),
        (
            {"hires_upscaler": "latant"},
            'hires_upscaler: no upscaler is called "latant". Did you mean "latent"',
        ),
        ({"variation_strength": 2}, "variation_strength: 2 is outside 0…1"),
        ({"variation_seed": 2**64}, "variation_seed: 18446744073709551616 is outside"),
        ({"seed_resize": "512"}, "seed_resize: it is no width and height. Write 512x768"),
        ({"seed_resize": (512, 513)}, "seed_resize: 513 is not a positive multiple of 8"),
    ],
)
def test_what_cannot_be_drawn_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        gesso.GenerationRequest("", **fields)


def test_sizes_may_be_text() -> None:
    assert gesso.GenerationRequest("", seed_resize="512x768").seed_resize == (512, 768)  # pyright: ignore[reportArgumentType]
