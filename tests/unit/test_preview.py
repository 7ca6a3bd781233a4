"""Pictures in the making: steps show them, the linear map fits its decoder, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

import gesso
from gesso import GenerationRequest
from gesso.config import SD15
from gesso.errors import WrongKindError
from gesso.models.tiny_decoder import TinyDecoder
from gesso.pipeline.pipeline import Pipeline, last_step
from gesso.pipeline.preview import SD1_COLOURS, DrawingStep, fit, linear_decoder


@pytest.fixture(scope="module")
def pipe(tiny_model: Path) -> Pipeline:
    return gesso.load(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def storybook() -> Pipeline:
    return gesso.load(device="cpu")


def affine(latents: Tensor) -> Tensor:
    """A decoder that is linear in fact: two by two pixels of each latent pixel, brighter to the right."""
    image = interpolate(latents[:, :3] * 0.1, scale_factor=2.0) + 0.2
    image[..., 1::2] += 0.1
    return image


def never(_: Tensor) -> Tensor:
    raise AssertionError("nothing has to be decoded")


def test_a_linear_decoder_is_found_exactly() -> None:
    fitted = fit(affine, channels=4, scale=2)
    latents = torch.randn(2, 4, 5, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(fitted(latents), affine(latents), atol=0.05, rtol=0)


def test_published_factors_for_stable_diffusion() -> None:
    """Each latent pixel is one pixel: its channels times their colours (0.18215-scaled latents)."""
    decoder = linear_decoder(SD15.autoencoder, never)
    latents = torch.randn(2, 4, 5, 7)
    expected = torch.einsum("bchw,cr->brhw", latents, torch.tensor(SD1_COLOURS))
    torch.testing.assert_close(decoder(latents), expected)


@torch.inference_mode()
def test_the_built_in_model_is_recognisable(storybook: Pipeline) -> None:
    """The fit explains most of the variance of what its decoder makes of finished latents."""
    request = GenerationRequest("a red house beside a pine tree", steps=6, seed=7)
    last = last_step(storybook.stream(request))
    assert isinstance(last, DrawingStep)
    (shown,), (decoded,) = last.preview(), storybook.decode(last.latents)
    assert shown.size == decoded.size
    ours, theirs = (np.asarray(each, dtype=float) for each in (shown, decoded))
    assert ((ours - theirs) ** 2).mean() < 0.5 * theirs.var(axis=(0, 1)).mean()


def test_every_step_can_be_looked_at(pipe: Pipeline) -> None:
    request = GenerationRequest("a red house", steps=3, seed=7, count=2, width=96, height=64)
    steps = list(pipe.stream(request))
    assert all(isinstance(step, DrawingStep) for step in steps)
    for step in steps:
        shown = step.preview()
        assert [picture.size for picture in shown] == [(12, 8)] * 2
        assert all(isinstance(picture, Image.Image) for picture in shown)
    expected = torch.einsum("chw,cr->hwr", steps[1].denoised[1], torch.tensor(SD1_COLOURS))
    levels = ((expected / 2 + 0.5).clamp(0, 1) * 255).round().numpy()
    np.testing.assert_array_equal(np.asarray(steps[1].preview()[1]), levels)


def test_looking_changes_nothing(pipe: Pipeline) -> None:
    request = GenerationRequest("a red house", steps=3, seed=7, sampler="euler_ancestral")
    looked_at = [step.latents for step in pipe.stream(request) if step.preview()]
    assert torch.equal(looked_at[-1], last_step(pipe.stream(request)).latents)


def test_broken_latents_are_shown_black(pipe: Pipeline) -> None:
    (shown,) = pipe.previewer()(torch.full((1, 4, 8, 8), torch.nan))
    assert shown.size == (8, 8)


def test_a_tiny_decoder_shows_detail(pipe: Pipeline, storybook: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "taesd_decoder.pth"
    torch.manual_seed(0)
    decoder = TinyDecoder()
    names = decoder.state_dict().items()
    torch.save({f"{int(k.split('.')[1]) + 1}.{k.split('.', 2)[2]}": v for k, v in names}, file)
    latents = torch.randn(2, 4, 8, 12)
    shown = pipe.previewer(file)(latents)
    assert [picture.size for picture in shown] == [(96, 64)] * 2
    with torch.inference_mode():
        levels = ((decoder(latents)[0] / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0)
    assert np.abs(np.asarray(shown[0]).astype(float) - levels.numpy()).max() <= 1
    with pytest.raises(WrongKindError, match="this model has others"):
        storybook.previewer(file)


def test_a_fit_decodes_little() -> None:
    sizes: list[torch.Size] = []

    def decode(latents: Tensor) -> Tensor:
        sizes.append(latents.shape)
        return affine(latents)

    fit(decode, 4, 2)
    assert sizes == [(8, 4, 8, 8)]
