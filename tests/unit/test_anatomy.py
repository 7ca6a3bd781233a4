"""The anatomy of a model against published numbers, an independent counter, and torch's own shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gesso.anatomy.as_json import to_json
from gesso.anatomy.dissect import Anatomy, dissect
from gesso.anatomy.outline import Outline
from gesso.anatomy.report import WIDTH, report
from gesso.anatomy.tally import tally
from gesso.config import (
    PRESETS,
    SD15,
    SD15_INPAINT,
    STORYBOOK,
    AutoencoderConfig,
    ModelConfig,
    TextEncoderConfig,
    UNetConfig,
)
from gesso.errors import RequestError
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.weights.meta import on_meta

TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_channels=(16, 32),
        attention_levels=(False, True),
        heads=2,
        context_dim=24,
        groups=8,
        sample_size=8,
    ),
    autoencoder=AutoencoderConfig(block_channels=(8, 16), groups=4),
    text_encoder=TextEncoderConfig(vocab_size=50, width=24, layers=2, heads=2, mlp_width=48, max_length=11),
)
ONE_LEVEL = replace(
    TINY, name="one level", unet=replace(TINY.unet, block_channels=(16,), attention_levels=(True,))
)


@pytest.fixture(scope="module")
def sd15() -> Anatomy:
    return dissect(SD15)


def test_sd15_has_the_published_numbers_of_parameters(sd15: Anatomy) -> None:
    assert sd15.unet.parameters == 859_520_964
    assert sd15.encoder.parameters + sd15.decoder.parameters == 83_653_863
    assert sd15.text_encoder.parameters == 123_060_480
    assert sd15.parameters == 859_520_964 + 83_653_863 + 123_060_480


def test_sd15_costs_what_is_known_of_it(sd15: Anatomy) -> None:
    assert round(sd15.unet.macs.total / 1e9, 1) == 401.6
    assert round(sd15.unet.macs.attention / 1e9, 1) == 63.0
    assert round(sd15.decoder.macs.total / 1e9) == 1257
    assert round(sd15.text_encoder.macs.total / 1e9, 2) == 6.65


def test_inpainting_differs_in_its_first_convolution_only(sd15: Anatomy) -> None:
    inpaint = dissect(SD15_INPAINT).unet
    differing = [
        ours.path for ours, theirs in zip(inpaint.blocks, sd15.unet.blocks, strict=True) if ours != theirs
    ]
    assert differing == ["conv_in"]
    assert inpaint.parameters - sd15.unet.parameters == 5 * 320 * 3 * 3


def test_right_hand_blocks_read_the_skips_last_first(sd15: Anatomy) -> None:
    reads = [block.reads for block in sd15.unet.blocks if block.reads]
    assert [skip.label for skip in reads] == [
        *("down 3.1", "down 3.0", "down 2.2", "down 2.1", "down 2.0", "down 1.2"),
        *("down 1.1", "down 1.0", "down 0.2", "down 0.1", "down 0.0", "conv_in"),
    ]
    assert [block.label for block in sd15.unet.skips] == [skip.label for skip in reversed(reads)]
    assert [(skip.input_channels, skip.channels) for skip in reads] == [
        *[(1280, 1280)] * 5,
        *[(1280, 640), (1280, 640), (640, 640), (640, 320), (640, 320), (320, 320), (320, 320)],
    ]


@pytest.mark.parametrize(
    "config", [TINY, ONE_LEVEL, STORYBOOK, SD15_INPAINT], ids=lambda config: config.name
)
def test_what_is_concatenated_adds_up(config: ModelConfig) -> None:
    unet = dissect(config).unet
    kept = {block.label: block.output for block in unet.skips}
    readers = [block for block in unet.blocks if block.reads]
    assert len(readers) == len(kept) == len(config.unet.block_channels) * (config.unet.layers_per_block + 1)
    for block in readers:
        assert block.reads is not None
        channels, *sides = block.inputs[0]
        assert channels == block.reads.input_channels + block.reads.channels
        assert kept[block.reads.label] == (block.reads.channels, *sides)


@pytest.mark.parametrize("config", [TINY, ONE_LEVEL, STORYBOOK], ids=lambda config: config.name)
def test_no_parameter_is_missed_or_counted_twice(config: ModelConfig) -> None:
    anatomy = dissect(config)
    with on_meta():
        unet, text_encoder = UNet(config.unet), TextEncoder(config.text_encoder)
        autoencoder = Autoencoder(config.autoencoder)
    assert anatomy.unet.parameters == parameters(unet)
    assert anatomy.text_encoder.parameters == parameters(text_encoder)
    assert anatomy.encoder.parameters + anatomy.decoder.parameters == parameters(autoencoder)
    modules = dict(unet.named_modules())
    for block in anatomy.unet.blocks:
        assert block.kind == type(modules[block.path]).__name__
        assert block.parameters == parameters(modules[block.path])
        assert sum(step.parameters for step in block.steps) == block.parameters


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_arithmetic_agrees_with_an_independent_counter() -> None:
    """FlopCounterMode counts on real tensors: two operations a MAC; fused attention it leaves out."""
    config = TINY
    width, height = config.image_size, config.image_size // 2
    anatomy = dissect(config, width, height)
    unet = UNet(config.unet)
    latents = torch.zeros(1, *anatomy.latents_shape)
    context = torch.zeros(1, *anatomy.context_shape)
    autoencoder = Autoencoder(config.autoencoder)
    text_encoder = TextEncoder(config.text_encoder)
    tokens = torch.zeros(1, config.text_encoder.max_length, dtype=torch.int64)
    with torch.no_grad():
        for outline, run in (
            (anatomy.unet, lambda: unet(latents, torch.zeros(1), context)),
            (anatomy.encoder, lambda: autoencoder.encode(torch.zeros(1, 3, height, width))),
            (anatomy.decoder, lambda: autoencoder.decode(latents)),
            (anatomy.text_encoder, lambda: text_encoder(tokens)),
        ):
            with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                run()
            assert flops_by_kind(counter) == [
                2 * outline.macs.convolution,
                2 * outline.macs.linear,
                2 * outline.macs.attention,
            ]


def flops_by_kind(counter: FlopCounterMode) -> list[int]:
    kinds = {"convolution": 0, "linear": 0, "attention": 0}
    for operator, flops in counter.get_flop_counts()["Global"].items():
        name = str(operator)
        kind = "convolution" if "conv" in name else "attention" if "bmm" in name else "linear"
        kinds[kind] += flops
    return list(kinds.values())


@pytest.mark.parametrize("config", [TINY, ONE_LEVEL], ids=lambda config: config.name)
def test_shapes_are_those_of_a_real_run(config: ModelConfig) -> None:
    """The shortcuts of ``anatomy.shapes`` against torch itself, on real tensors, at an odd size."""
    scale = config.autoencoder.downscale
    anatomy = dissect(config, 10 * scale, 6 * scale)
    unet = UNet(config.unet)
    seen: dict[str, tuple[int, ...]] = {}
    for path, module in unet.named_modules():
        module.register_forward_hook(
            lambda _, __, output, path=path: seen.update({path: tuple(output.shape)})
        )
    with torch.no_grad():
        unet(torch.zeros(1, *anatomy.latents_shape), torch.zeros(1), torch.zeros(1, *anatomy.context_shape))
    for block in anatomy.unet.blocks:
        assert (1, *block.output) == seen[block.path]
        for step in block.steps:
            if step.kind == "Linear" or step.kind == "Conv2d":
                path = f"{block.path}.{step.name}" if step.name else block.path
                assert (1, *step.output) == seen[path]


def test_inspecting_imports_no_compiler() -> None:
    """Torch's own rules for meta tensors import its compiler and sympy, which take seconds."""
    program = (
        "import sys; from gesso.anatomy.dissect import dissect; from gesso.config import STORYBOOK;"
        "before = set(sys.modules); dissect(STORYBOOK);"
        "print(sorted({'sympy', 'torch._dynamo'} & (set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_transformers_tell_their_parts_apart(sd15: Anatomy) -> None:
    entries = {entry.name: entry for entry in tally(sd15.unet)}
    assert sum(entry.parameters for entry in entries.values()) == sd15.unet.parameters
    assert sum(entry.macs.total for entry in entries.values()) == sd15.unet.macs.total
    transformers = entries["SpatialTransformers"]
    assert sum(part.parameters for part in transformers.parts) == transformers.parameters
    assert sum(part.macs.total for part in transformers.parts) == transformers.macs.total
    parts = {part.name: part for part in transformers.parts}
    widths = [width for width, blocks in ((320, 5), (640, 5), (1280, 6)) for _ in range(blocks)]
    assert parts["self-attention"].parameters == sum(4 * w * w + w for w in widths)
    assert parts["cross-attention"].parameters == sum(2 * w * w + 2 * 768 * w + w for w in widths)
    assert parts["feed-forward"].parameters == sum(12 * w * w + 9 * w for w in widths)


def test_a_larger_picture_costs_quadratically_more_self_attention(sd15: Anatomy) -> None:
    def products(outline: Outline, role: str) -> int:
        steps = [step for block in outline.blocks for step in block.steps if step.role == role]
        return sum(step.macs.attention for step in steps)

    larger = dissect(SD15, 1024, 1024).unet
    assert products(larger, "self-attention") == 16 * products(sd15.unet, "self-attention")
    assert products(larger, "cross-attention") == 4 * products(sd15.unet, "cross-attention")
    assert larger.parameters == sd15.unet.parameters


@pytest.mark.parametrize(
    ("width", "height", "field"), [(0, 64, "width"), (64, 7, "height"), (8200, 64, "width")]
)
def test_sizes_that_cannot_be_drawn_are_refused(width: int, height: int, field: str) -> None:
    with pytest.raises(RequestError, match=rf"{field}: .* 8") as caught:
        dissect(STORYBOOK, width, height)
    assert caught.value.where == field


@pytest.mark.parametrize("config", [TINY, ONE_LEVEL, *PRESETS.values()], ids=lambda config: config.name)
def test_the_report_fits_a_terminal(config: ModelConfig) -> None:
    anatomy = dissect(config)
    lines = report(anatomy).splitlines()
    assert max(map(len, lines)) <= WIDTH
    rows = [line for line in lines if any(block.kind in line for block in anatomy.unet.blocks)]
    assert len(rows) >= sum(
        block.kind in {"ResnetBlock", "SpatialTransformer"} for block in anatomy.unet.blocks
    )


def test_the_report_fits_at_large_sizes() -> None:
    assert max(map(len, report(dissect(SD15, 4096, 4096)).splitlines())) <= WIDTH


def test_the_report_says_what_is_concatenated(sd15: Anatomy) -> None:
    text = report(sd15)
    [line] = [line for line in text.splitlines() if line.endswith("← down 1.1")]
    assert "(1280+640)×32×32" in line
    assert "859,520,964" in text
    assert "3.44 GB" in text


def test_json_holds_the_whole_outline(sd15: Anatomy) -> None:
    data = json.loads(json.dumps(to_json(sd15)))
    assert data["unet"]["macs"]["total"] == sd15.unet.macs.total
    assert len(data["unet"]["blocks"]) == len(sd15.unet.blocks)
    assert data["unet"]["blocks"][-1]["output"] == [4, 64, 64]
    assert data["unet"]["skips"][0] == "conv_in"
