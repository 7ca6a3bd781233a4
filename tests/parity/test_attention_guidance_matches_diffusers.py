"""PAG, SAG and FreeU against Diffusers' pipelines: the same folder, prompt, sampler, steps and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    StableDiffusionPAGPipeline,
    StableDiffusionPipeline,
    StableDiffusionSAGPipeline,
    UNet2DConditionModel,
)
from diffusers.utils.torch_utils import fourier_filter
from tiny_diffusers import tiny_ends
from transformers import CLIPTokenizer

import gesso
from gesso.pipeline.freeu import scale_low
from gesso.pipeline.pipeline import last_step

CLIP = Path(gesso.__file__).parent / "text" / "clip"
FIELDS = {"width": 72, "height": 88}
WITHOUT = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def parts(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A Stable Diffusion of random weights whose attention is far from even, as trained ones are."""
    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    for name, weight in unet.named_parameters():
        if "attn1.to_q" in name or "attn1.to_k" in name or "attn1.to_out.0.weight" in name:
            weight.data *= 2.5
    autoencoder, text_encoder = tiny_ends()
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=request.param,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    )
    tokenizer = CLIPTokenizer.from_pretrained(str(CLIP), model_max_length=77, pad_token="<|endoftext|>")
    return {
        "vae": autoencoder,
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "unet": unet,
        "scheduler": scheduler,
    }


@pytest.fixture(scope="module")
def ours(parts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> gesso.Pipeline:
    folder = tmp_path_factory.mktemp("model") / "folder"
    StableDiffusionPipeline(**parts, **WITHOUT).save_pretrained(str(folder))
    return gesso.load(folder, device="cpu")


def theirs(pipeline: Any, guidance_scale: float, **options: Any) -> torch.Tensor:
    """The latents of three steps, of two pictures."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        "a red house",
        negative_prompt="blurry",
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in (3, 4)],
        num_images_per_prompt=2,
        num_inference_steps=3,
        output_type="latent",
        guidance_scale=guidance_scale,
        **FIELDS,
        **options,
    ).images


def latents(pipeline: gesso.Pipeline, **fields: Any) -> torch.Tensor:
    request = gesso.GenerationRequest(
        "a red house",
        negative_prompt="blurry",
        sampler="ddim",
        schedule="leading",
        steps=3,
        seed=3,
        count=2,
        batch_size=2,
        **FIELDS,
        **fields,
    )
    return last_step(pipeline.stream(request)).latents


def check(got: torch.Tensor, expected: torch.Tensor, without: torch.Tensor) -> None:
    """Equal, and far from the picture without."""
    scale = float(expected.abs().max())
    assert float((got - expected).abs().max()) <= 1e-4 * scale
    assert float((without - expected).abs().max()) >= 0.02 * scale


@pytest.mark.parametrize(
    ("guidance_scale", "layers", "names"),
    [
        (1.0, "mid", ["mid"]),
        (5.0, "mid", ["mid"]),
        (5.0, "up.1,down.0", ["up_blocks.1", "down_blocks.0"]),
        (5.0, "up.2.1", ["up_blocks.2.attentions.1"]),
    ],
)
def test_perturbed_attention_guidance(
    parts: dict[str, Any], ours: gesso.Pipeline, guidance_scale: float, layers: str, names: list[str]
) -> None:
    pipeline = StableDiffusionPAGPipeline(**parts, **WITHOUT, pag_applied_layers=names)
    processors = parts["unet"].attn_processors
    expected = theirs(pipeline, guidance_scale, pag_scale=3.0)
    parts["unet"].set_attn_processor(processors)
    got = latents(ours, guidance_scale=guidance_scale, pag_scale=3.0, pag_layers=layers)
    check(got, expected, latents(ours, guidance_scale=guidance_scale))


def test_perturbed_attention_guidance_rescaled(parts: dict[str, Any], ours: gesso.Pipeline) -> None:
    pipeline = StableDiffusionPAGPipeline(**parts, **WITHOUT, pag_applied_layers=["mid"])
    processors = parts["unet"].attn_processors
    expected = theirs(pipeline, 5.0, pag_scale=3.0, guidance_rescale=0.7)
    parts["unet"].set_attn_processor(processors)
    fields = {"guidance_scale": 5.0, "guidance_rescale": 0.7}
    check(latents(ours, pag_scale=3.0, **fields), expected, latents(ours, **fields))


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_self_attention_guidance(
    parts: dict[str, Any], ours: gesso.Pipeline, guidance_scale: float
) -> None:
    pipeline = StableDiffusionSAGPipeline(**parts, **WITHOUT)
    expected = theirs(pipeline, guidance_scale, sag_scale=0.75)
    got = latents(ours, guidance_scale=guidance_scale, sag_scale=0.75)
    check(got, expected, latents(ours, guidance_scale=guidance_scale))


def test_freeu(parts: dict[str, Any], ours: gesso.Pipeline) -> None:
    pipeline = StableDiffusionPipeline(**parts, **WITHOUT)
    pipeline.enable_freeu(b1=1.5, b2=1.6, s1=0.9, s2=0.2)
    expected = theirs(pipeline, 5.0)
    pipeline.disable_freeu()
    got = latents(ours, guidance_scale=5.0, freeu=(1.5, 1.6, 0.9, 0.2))
    check(got, expected, latents(ours, guidance_scale=5.0))


@pytest.mark.parametrize("size", [(8, 8), (9, 6), (5, 7), (2, 2), (1, 4), (1, 1)])
def test_freeus_filter(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(scale_low(x, 0.2), fourier_filter(x, threshold=1, scale=0.2))  # pyright: ignore[reportArgumentType]
