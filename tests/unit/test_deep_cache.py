"""DeepCache: exact where everything is computed, and only the outermost layer where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import gesso
from gesso import GenerationRequest
from gesso.config import UNetConfig
from gesso.engine.deep_cache import DeepCache
from gesso.errors import RequestError
from gesso.models.unet import UNet

CONFIG = UNetConfig(
    block_channels=(32, 64),
    attention_levels=(True, False),
    layers_per_block=2,
    context_dim=24,
    heads=4,
    groups=8,
)


@pytest.fixture(params=[CONFIG, replace(CONFIG, attention_levels=(False, True))], ids=["attends", "plain"])
def unet(request: pytest.FixtureRequest) -> UNet:
    torch.manual_seed(0)
    return UNet(request.param).eval().requires_grad_(False)


def inputs(batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, 4, 9, 12, generator=random)
    timesteps = torch.full((batch,), 900.0 - 100 * seed)
    return latents, timesteps, torch.randn(batch, 7, 24, generator=torch.Generator().manual_seed(9))


def test_it_is_the_unet_where_everything_is_computed(unet: UNet) -> None:
    always = DeepCache(unet, 1)
    for seed in range(3):
        torch.testing.assert_close(always(*inputs(seed=seed)), unet(*inputs(seed=seed)))


def test_every_third_call_is_whole(unet: UNet) -> None:
    cached = DeepCache(unet, 3)
    exact = [torch.allclose(cached(*inputs(seed=s)), unet(*inputs(seed=s)), atol=1e-5) for s in range(7)]
    assert exact == [True, False, False, True, False, False, True]


def test_the_other_calls_compute_the_last_layer_alone(unet: UNet) -> None:
    """Of the rest they know what an earlier call left: the formula, written out."""
    read: list[Tensor] = []
    last = unet.up_blocks[-1]
    hook = last.resnets[-1].register_forward_pre_hook(lambda _, args: read.append(args[0][:, :64]))
    cached = DeepCache(unet, 2)
    cached(*inputs(seed=0))
    hook.remove()

    latents, timesteps, context = inputs(seed=1)
    called: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, module in unet.named_modules()
        if name.count(".") == 2 or name.startswith("mid_block")
    ]
    y = cached(latents, timesteps, context)
    for each in hooks:
        each.remove()
    assert set(called) <= {"up_blocks.1.resnets.2", "up_blocks.1.attentions.2"}

    t, first = unet.time_embedding(timesteps), unet.conv_in(latents)
    width = CONFIG.block_channels[0]
    x = last.resnets[2](torch.cat([read[0][:, :width], first], 1), t)
    x = last.attentions[2](x, context) if last.attentions else x
    torch.testing.assert_close(y, unet.conv_out(torch.nn.functional.silu(unet.conv_norm_out(x))))


def test_another_batch_size_starts_anew(unet: UNet) -> None:
    """Guidance may end before the picture does, and halves the batch."""
    cached = DeepCache(unet, 5)
    cached(*inputs(batch=2))
    torch.testing.assert_close(cached(*inputs(batch=1, seed=1)), unet(*inputs(batch=1, seed=1)))


# In a request


def psnr(a: Image.Image, b: Image.Image) -> float:
    error = np.asarray(a).astype(float) - np.asarray(b).astype(float)
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def test_a_request_caches_and_says_so() -> None:
    pipeline = gesso.load()
    wanted = GenerationRequest("a red house", steps=8, seed=1, deep_cache=2)
    cached = pipeline(wanted)
    whole = pipeline(replace(wanted, deep_cache=1))
    again = pipeline(GenerationRequest.from_json(cached.request.to_json()))
    assert np.asarray(cached.images[0]).tobytes() == np.asarray(again.images[0]).tobytes()
    assert np.asarray(cached.images[0]).tobytes() != np.asarray(whole.images[0]).tobytes()
    assert psnr(cached.images[0], whole.images[0]) > 12, "another picture, of the same"


@pytest.mark.parametrize("every", [0, -1, 21, 1.5, True, "2"])
def test_numbers_that_are_refused(every: Any) -> None:
    with pytest.raises(RequestError) as refused:
        GenerationRequest("a red house", deep_cache=every)
    assert refused.value.where == "deep_cache"


def test_not_with_weights_that_come_by_blocks() -> None:
    pipeline = gesso.load(low_memory=True)
    with pytest.raises(RequestError, match="block by block") as refused:
        pipeline("a red house", steps=2, deep_cache=2)
    assert refused.value.where == "deep_cache"
    assert pipeline("a red house", steps=2).images, "the next request is served"
