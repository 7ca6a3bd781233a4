"""Guidance by the network's own attention, and FreeU: formulas, views of the network, requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

import gesso
from gesso import GenerationRequest
from gesso.config import SD15, NoiseScheduleConfig, Prediction, UNetConfig
from gesso.diffusion.by_step import ByStep
from gesso.diffusion.denoiser import Denoiser
from gesso.diffusion.guidance import PerturbedAttention, guide, pair_contexts
from gesso.diffusion.schedule import NoiseSchedule
from gesso.diffusion.self_attention import SelfAttention, blur, degrade
from gesso.engine.cached_context import CachedCrossAttention
from gesso.engine.cuda.graphed import GraphedUNet
from gesso.engine.deep_cache import DeepCache
from gesso.engine.engine import optimise, switch_off
from gesso.engine.optimisations import OPTIMISATIONS
from gesso.engine.view import replaced
from gesso.errors import RequestError
from gesso.models.attention import SpatialTransformer, TransformerBlock
from gesso.models.unet import UNet
from gesso.pipeline.freeu import freed
from gesso.pipeline.layers import transformers_in
from gesso.pipeline.pipeline import last_step
from gesso.pipeline.quality_fields import check_quality_with
from gesso.pipeline.self_attention import listening, perturbed

NOISE_SCHEDULE = NoiseSchedule(NoiseScheduleConfig())
CONFIG = UNetConfig(
    block_channels=(32, 64),
    attention_levels=(True, True),
    layers_per_block=1,
    context_dim=24,
    heads=4,
    groups=8,
)
FREEU = (1.5, 1.6, 0.9, 0.2)


@pytest.fixture
def unet() -> UNet:
    torch.manual_seed(0)
    return UNet(CONFIG).eval().requires_grad_(False)


def inputs(batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, 4, 9, 12, generator=random)
    return latents, torch.full((batch,), 900.0), torch.randn(batch, 7, 24, generator=random)


# The formulas


def says_its_context(times: float, prediction: Prediction = "epsilon") -> Denoiser:
    """A network whose denoised latents at σ = 1 from x = 0 are its context, times so much."""

    def network(latents: Tensor, _timesteps: Tensor, context: Tensor) -> Tensor:
        return -times * context[:, 0, 0, None, None, None] * torch.ones_like(latents)

    return Denoiser(network, NOISE_SCHEDULE, prediction)


def contexts(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None]


def test_perturbed_attention_adds_to_guidance() -> None:
    paired = pair_contexts(contexts(1, 2, 5, 7), contexts(10, 20))
    pag = PerturbedAttention(says_its_context(0.5), 2.0)
    denoise = guide(says_its_context(1), paired, 3.0, (1.0, -0.5), perturbed_attention=pag)
    denoised = denoise(torch.zeros(2, 4, 2, 2), torch.tensor(1.0))
    assert denoised[:, 0, 0, 0].tolist() == [
        10 + 3 * (1 - 10) - 1.5 * (5 - 10) + 2 * (0.5 * 1 - 0.5 * 2.5),
        20 + 3 * (2 - 20) - 1.5 * (7 - 20) + 2 * (0.5 * 2 - 0.5 * 3.5),
    ]


def test_perturbed_attention_needs_no_negative() -> None:
    pag = PerturbedAttention(says_its_context(0.25), 2.0)
    denoise = guide(says_its_context(1), contexts(4, 8), 1.0, perturbed_attention=pag)
    denoised = denoise(torch.zeros(2, 4, 2, 2), torch.tensor(1.0))
    assert denoised[:, 0, 0, 0].tolist() == [4 + 2 * (4 - 1), 8 + 2 * (8 - 2)]


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_self_attention_guides_model_outputs(guidance_scale: float, prediction: Prediction) -> None:
    """Hong et al. 2023, equations 16 and 25, step by step, in the coordinates of the paper."""
    sigma = NOISE_SCHEDULE.sigmas[600]
    keep = 1 / (sigma**2 + 1) ** 0.5  # √ᾱ
    noise_share = sigma * keep
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 6, 8, generator=random) * 3
    negative, positive = (torch.randn(2, 3, 5, generator=random) for _ in range(2))
    attention = torch.rand(4, 3, 4, generator=random) * 2
    outputs: list[Tensor] = []

    def network(latents: Tensor, _timesteps: Tensor, context: Tensor) -> Tensor:
        outputs.append(torch.tanh(latents.roll(1, dims=1)) + context.mean(dim=(1, 2))[:, None, None, None])
        return outputs[-1]

    denoiser = Denoiser(network, NOISE_SCHEDULE, prediction)
    paired = pair_contexts(positive, negative) if guidance_scale != 1 else positive
    sag = SelfAttention(denoiser, lambda: attention[: len(paired)], 0.75)
    got = guide(denoiser, paired, guidance_scale, self_attention=sag)(x, sigma)

    first, *others = outputs[0].chunk(len(paired) // 2)
    in_paper = x * keep
    if prediction == "epsilon":
        clean, noise = (in_paper - noise_share * first) / keep, first
    else:
        clean, noise = keep * in_paper - noise_share * first, noise_share * in_paper + keep * first
    mask = (attention[:2] > 1).float().repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None]
    blurred = blur(clean, (False, False))
    asked = keep * (blurred * mask + clean * (1 - mask)) + noise_share * noise
    guided = first + guidance_scale * (others[0] - first) if others else first
    output = guided + 0.75 * (first - network(asked, torch.empty(0), paired[:2]))
    expected = x * keep**2 - output * noise_share if prediction == "v" else x - output * sigma
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_a_blur_of_one_pixel_is_the_gaussian() -> None:
    x = torch.zeros(1, 2, 11, 12)
    x[:, 1, 5, 6] = 1
    weights = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    weights /= weights.sum()
    got = blur(x, (False, False))
    assert not got[:, 0].any()
    np.testing.assert_allclose(got[0, 1, 1:10, 2:11], np.outer(weights, weights), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("around", [(False, False), (True, False), (False, True), (True, True)])
def test_a_blur_goes_around_where_the_picture_does(around: tuple[bool, bool]) -> None:
    """There it does not matter where the picture begins."""
    x = torch.randn(1, 4, 6, 7, generator=torch.Generator().manual_seed(0))
    for dim, goes_around in zip((3, 2), around, strict=True):
        rolled = blur(x.roll(3, dims=dim), around).roll(-3, dims=dim)
        assert torch.allclose(rolled, blur(x, around), atol=1e-6) == goes_around


def test_what_receives_more_than_its_share_is_blurred() -> None:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    attention = torch.tensor([[[1.0, 1.01], [0.2, 1.79]]])
    got = degrade(x, attention, (False, False))
    assert torch.equal(got[..., :4, :4], x[..., :4, :4])
    assert torch.equal(got[..., 4:, :4], x[..., 4:, :4])
    assert torch.equal(got[..., 4:], blur(x, (False, False))[..., 4:])


def test_nothing_else_guides_outside_of_the_interval() -> None:
    def refuse(*_: Any) -> Tensor:
        raise AssertionError("asked outside of the interval")

    refusing = replace(says_its_context(1), network=refuse)
    pag, sag = PerturbedAttention(refusing, 2.0), SelfAttention(refusing, refuse, 0.75)
    x, at = torch.zeros(1, 4, 8, 8), torch.tensor(9.0)
    for scale, context in ((3.0, pair_contexts(contexts(1), contexts(10))), (1.0, contexts(1))):
        denoise = guide(
            says_its_context(1),
            context,
            scale,
            interval=(0.28, 5.42),
            perturbed_attention=pag,
            self_attention=sag,
        )
        assert denoise(x, at)[0, 0, 0, 0] == 9
        with pytest.raises(AssertionError, match="outside"):
            denoise(x, torch.tensor(1.0))


# One context, bound once


def test_keys_of_a_part_of_a_context_are_kept_over_steps(
    unet: UNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where guidance ends, and where it asks again, the network reads part of a context at each step."""
    optimise([unet], ["cached-context"])
    layers = [module for module in unet.modules() if isinstance(module, CachedCrossAttention)]
    projected: list[int] = []
    hooks = [
        layer.to_k.register_forward_hook(lambda *args: projected.append(len(args[1][0])))
        for layer in layers
    ]
    view, attention = listening(unet)

    def denoiser(network: UNet) -> Denoiser:
        return Denoiser(network, NOISE_SCHEDULE)

    context = pair_contexts(*(torch.randn(1, 7, 24) for _ in range(2)))

    def bind(context: Tensor) -> Any:
        return guide(
            denoiser(view),
            context,
            5.0,
            interval=(2.0, 20.0),
            perturbed_attention=PerturbedAttention(denoiser(perturbed(unet, ["mid"])), 2.0),
            self_attention=SelfAttention(denoiser(unet), attention, 0.5),
        )

    steps = ByStep.of(bind, [context] * 4)
    with torch.inference_mode():
        for sigma in (14.0, 3.0, 1.0, 0.5):
            steps(torch.randn(1, 4, 8, 8), torch.tensor(sigma))
    for hook in hooks:
        hook.remove()
    assert sorted(projected) == sorted([2, 1, 1] * len(layers)), "the pair, its first row and its second"


def test_each_context_is_bound_once() -> None:
    first, second = contexts(1), contexts(2)
    bound: list[Tensor] = []

    def bind(context: Tensor) -> Any:
        bound.append(context)
        return lambda x, _sigma: x + context

    ByStep.of(bind, iter([first, second, first, second]))
    assert [each is expected for each, expected in zip(bound, (first, second), strict=True)] == [True, True]


# Views of the network


def test_a_view_replaces_parts_and_shares_the_rest(unet: UNet) -> None:
    before = unet(*inputs())
    part = torch.nn.Identity()
    view = replaced(unet, {"up_blocks.0.upsamplers.0.conv": part, "conv_norm_out": part})
    assert view.conv_norm_out is part
    assert cast(Any, view).up_blocks[0].upsamplers[0].conv is part
    assert view.mid_block is unet.mid_block
    assert {*view.parameters()} < {*unet.parameters()}
    assert torch.equal(unet(*inputs()), before), "the network itself is what it was"


def test_a_view_of_a_graphed_network_records_no_graphs(unet: UNet) -> None:
    unet.__class__ = GraphedUNet
    view = replaced(unet, {"conv_norm_out": torch.nn.Identity()})
    assert type(view) is UNet
    assert type(unet) is GraphedUNet


@pytest.mark.parametrize("layers", [["mid"], ["up.1", "down.0"], ["up.0.1"]])
def test_perturbed_attention_is_the_identity(unet: UNet, layers: list[str]) -> None:
    """Softmax of what is very large on the diagonal, and very small elsewhere, is the identity."""
    before, view = unet(*inputs()), perturbed(unet, layers)
    got = view(*inputs())
    for path in transformers_in(CONFIG, layers):
        block = cast(
            TransformerBlock, cast(SpatialTransformer, unet.get_submodule(path)).transformer_blocks[0]
        )
        attention = block.attn1

        def forward(x: Tensor, _context: Tensor, attention: Any = attention) -> Tensor:
            v = attention.split_heads(attention.to_v(x))
            identity = torch.eye(x.shape[1]).expand(len(x), attention.heads, -1, -1)
            return attention.to_out[0]((identity @ v).transpose(1, 2).flatten(2))

        attention.forward = forward
    torch.testing.assert_close(got, unet(*inputs()))
    assert not torch.allclose(got, before, atol=1e-3)


def test_a_listening_network_says_the_same(unet: UNet) -> None:
    view, attention = listening(unet)
    asked: list[Tensor] = []
    middle = cast(Any, unet).mid_block.attentions[0].transformer_blocks[0]
    hook = middle.norm1.register_forward_hook(lambda *args: asked.append(args[2]))
    assert torch.equal(view(*inputs()), unet(*inputs()))
    hook.remove()
    q, k = (layer(asked[0]).unflatten(-1, (4, 16)) for layer in (middle.attn1.to_q, middle.attn1.to_k))
    probabilities = (torch.einsum("bqhd,bkhd->bhqk", q, k) / 4).softmax(-1)
    expected = probabilities.mean(1).sum(1).reshape(2, 5, 6)
    torch.testing.assert_close(attention(), expected)


def test_a_listening_network_is_heard_through_other_views(unet: UNet) -> None:
    view, attention = listening(unet)
    view(*inputs())
    expected = attention()
    middle = "mid_block.attentions.0.transformer.transformer_blocks.0"
    other = replaced(view, {f"{middle}.ff": torch.nn.Identity(), "conv_norm_out": torch.nn.Identity()})
    other(*inputs(batch=1))
    assert attention().shape == (1, 5, 6)
    assert not torch.allclose(attention(), expected[:1]), "inputs of one are others than the first of two"


def test_freeu_scales_the_backbone_and_filters_the_skips(unet: UNet) -> None:
    """The formula, written out for the first ResnetBlock on the way up."""
    read: list[Tensor] = []
    view = freed(unet, FREEU)
    for network in (unet, view):
        first = unet.up_blocks[0].resnets[0]
        hook = cast(Any, first).register_forward_pre_hook(lambda _, args: read.append(args[0]))
        network(*inputs())
        hook.remove()
    backbone, skip = read[0].split([64, read[0].shape[1] - 64], dim=1)
    spectrum = torch.fft.fftshift(torch.fft.fft2(skip), dim=(-2, -1))
    row, column = skip.shape[-2] // 2, skip.shape[-1] // 2
    spectrum[..., row - 1 : row + 1, column - 1 : column + 1] *= 0.9
    low = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real
    expected = torch.cat([backbone[:, :32] * 1.5, backbone[:, 32:], low], dim=1)
    torch.testing.assert_close(read[1], expected)


def test_freeu_of_ones_changes_nothing(unet: UNet) -> None:
    torch.testing.assert_close(freed(unet, (1, 1, 1, 1))(*inputs()), unet(*inputs()))
    assert freed(unet, None) is unet


def views(unet: UNet) -> dict[str, Any]:
    return {
        "perturbed": perturbed(unet, ["mid", "up.1"]),
        "listening": listening(unet)[0],
        "freed": freed(unet, FREEU),
        "all": perturbed(listening(freed(unet, FREEU))[0], ["down.0"]),
    }


def test_views_of_an_optimised_network(unet: UNet) -> None:
    """Both halves of the batch are the same latents, of which the engine makes use."""
    (latents, timesteps, context) = inputs(batch=2)
    asked = torch.cat([latents[:1]] * 2), timesteps, context
    expected = {name: view(*asked) for name, view in views(unet).items()}
    optimise([unet], [name for name, each in OPTIMISATIONS.items() if "cpu" in each.devices])
    with torch.inference_mode():
        for name, view in views(unet).items():
            torch.testing.assert_close(view(*asked), expected[name], rtol=1e-4, atol=1e-4)
    switch_off([unet])


def test_deep_caches_of_views(unet: UNet) -> None:
    for view in views(unet).values():
        torch.testing.assert_close(DeepCache(view, 1)(*inputs()), view(*inputs()))


# Names of layers


def test_layers_of_stable_diffusion() -> None:
    assert transformers_in(SD15.unet, ["mid"]) == ["mid_block.attentions.0"]
    assert transformers_in(SD15.unet, ["up.1.2", "down.0"]) == [
        "down_blocks.0.attentions.0",
        "down_blocks.0.attentions.1",
        "up_blocks.1.attentions.2",
    ]
    network = UNet(replace(CONFIG, attention_levels=(True, False)))
    places = {name for name, module in network.named_modules() if isinstance(module, SpatialTransformer)}
    every = transformers_in(network.config, ["down.0", "down.1", "mid", "up.0", "up.1"])
    assert set(every) == places
    assert len(every) == len(places)


@pytest.mark.parametrize("layer", ["down.3", "up.0", "up.1.3", "up.4", "down.0.2"])
def test_layers_that_stable_diffusion_has_not(layer: str) -> None:
    request = GenerationRequest("", pag_scale=3, pag_layers=layer).resolve(SD15)
    with pytest.raises(
        RequestError, match=r"Use down\.0, down\.1, down\.2, mid, up\.1, up\.2, up\.3\."
    ) as refused:
        check_quality_with(request, SD15)
    assert refused.value.where == "pag_layers"


def test_pictures_too_small_to_blur() -> None:
    assert (
        check_quality_with(GenerationRequest("", sag_scale=1, width=40, height=40).resolve(SD15), SD15)
        is None
    )
    with pytest.raises(
        RequestError, match=r"^sag_scale: 64×32 pixels are too few to blur\. Draw 40 or more"
    ):
        check_quality_with(GenerationRequest("", sag_scale=1, width=64, height=32).resolve(SD15), SD15)


# In a request


@pytest.fixture(scope="module")
def pipeline() -> gesso.Pipeline:
    return gesso.load()


def drawn(pipeline: gesso.Pipeline, **fields: Any) -> Tensor:
    """The latents of the last of two steps."""
    return last_step(pipeline.stream(GenerationRequest("a red house", seed=1, steps=2, **fields))).latents


OPTIONS: list[dict[str, Any]] = [{"pag_scale": 3.0}, {"sag_scale": 0.75}, {"freeu": FREEU}]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options)))
def test_they_change_the_picture_and_leave_no_trace(
    pipeline: gesso.Pipeline, options: dict[str, Any]
) -> None:
    before = drawn(pipeline)
    changed = drawn(pipeline, **options)
    assert not torch.allclose(changed, before, atol=1e-2)
    assert torch.equal(drawn(pipeline), before)
    assert torch.equal(drawn(pipeline, **options), changed)


@pytest.mark.parametrize(
    "others",
    [
        {"guidance_scale": 1.0},
        {"deep_cache": 2},
        {"guidance_rescale": 0.7, "guidance_interval": (1.0, 20.0)},
        {"tiling": "both"},
    ],
    ids=lambda others: next(iter(others)),
)
def test_a_picture_is_the_same_in_a_batch(pipeline: gesso.Pipeline, others: dict[str, Any]) -> None:
    fields = {**others, "pag_scale": 2.0, "sag_scale": 0.5, "freeu": (1.1, 1.2, 0.9, 0.8)}
    together = drawn(pipeline, count=2, batch_size=2, **fields)
    torch.testing.assert_close(together[:1], drawn(pipeline, **fields), rtol=1e-4, atol=1e-4)


def test_with_several_prompts(pipeline: gesso.Pipeline) -> None:
    """Two halves of one prompt are that prompt."""
    fields: dict[str, Any] = {"seed": 1, "steps": 2, "pag_scale": 2.0, "sag_scale": 0.5}
    whole, halves = (
        last_step(pipeline.stream(GenerationRequest(prompt, **fields))).latents
        for prompt in ("a red house", "a red house :0.5 AND a red house :0.5")
    )
    torch.testing.assert_close(halves, whole, rtol=1e-3, atol=1e-3)


def test_with_weights_that_come_by_blocks(pipeline: gesso.Pipeline) -> None:
    streaming = gesso.load(low_memory=True)
    for options in OPTIONS:
        torch.testing.assert_close(
            drawn(streaming, **options), drawn(pipeline, **options), rtol=1e-4, atol=1e-4
        )


def test_layers_are_checked_before_anything_is_drawn(pipeline: gesso.Pipeline) -> None:
    with pytest.raises(RequestError, match=r"nowhere in up\.3"):
        next(pipeline.stream(GenerationRequest("a red house", pag_scale=1.0, pag_layers="up.3")))
