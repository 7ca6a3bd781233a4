"""Muon against PyTorch's own, and what it is for: steps with singular values of about one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gesso.training.muon import Muon, optimizers, orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (8, 50), (50, 8), (1, 9), (192, 1728)])
def test_directions_are_nearly_orthogonal(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-4
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearly = orthogonalise(matrix, 5)
    inner = left.T @ nearly @ right.T  # diagonal where the singular vectors are kept
    assert inner.diagonal().min() > 0
    if min(shape) != max(shape):  # square ones have singular values near zero, which stay small
        assert inner.diagonal().min() > 0.6
    assert inner.diagonal().max() < 1.25
    assert (inner - inner.diagonal().diag()).abs().max() < 1e-3


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_steps_are_those_of_pytorch(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    ours = nn.Parameter(torch.randn(shape, generator=generator))
    theirs = copy.deepcopy(ours)
    settings = {"lr": 0.05, "momentum": 0.95, "weight_decay": 0.1}
    reference = torch.optim.Muon([theirs], **settings, adjust_lr_fn="match_rms_adamw")
    optimizer = Muon([ours], **settings)
    start = ours.detach().clone()
    for _ in range(4):
        gradient = torch.randn(shape, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        reference.step()
    difference = (ours - theirs).norm() / (theirs - start).norm()
    assert difference < 0.02  # PyTorch's iteration computes in bfloat16


def test_many_matrices_take_the_steps_of_each_alone() -> None:
    """Wide and tall ones of one shape are made orthogonal together; one without a gradient stays out."""
    shapes = [(6, 20), (20, 6), (6, 5, 2, 2), (8, 8), (6, 20), (20, 6)]
    generator = torch.Generator().manual_seed(2)
    together = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    alone = copy.deepcopy(together)
    settings = {"lr": torch.tensor(0.05), "momentum": 0.9, "weight_decay": 0.1}
    for optimizer in [Muon(together, **settings), *(Muon([each], **settings) for each in alone)]:
        draws = torch.Generator().manual_seed(3)
        for step in range(3):
            gradients = [torch.randn(shape, generator=draws) for shape in shapes]
            for one, other, gradient in zip(together, alone, gradients, strict=True):
                one.grad = other.grad = (
                    None if step == 1 and gradient is gradients[-1] else gradient.clone()
                )
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_which_parameters_get_which() -> None:
    from gesso.config import TextEncoderConfig, UNetConfig
    from gesso.models.text_encoder import TextEncoder
    from gesso.models.unet import UNet

    unet = UNet(
        UNetConfig(block_channels=(8, 8), attention_levels=(True, False), heads=2, context_dim=8, groups=4)
    )
    text = TextEncoder(TextEncoderConfig(vocab_size=16, width=8, layers=1, heads=2, mlp_width=16))
    model = nn.ModuleDict({"unet": unet, "text_encoder": text})
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    adamw, muon = optimizers(model, "muon", 0.01)
    by_muon = {names[id(parameter)] for parameter in muon.param_groups[0]["params"]}
    by_adamw = {names[id(parameter)] for parameter in adamw.param_groups[0]["params"]}
    assert by_muon | by_adamw == set(names.values())
    assert not by_muon & by_adamw
    assert "unet.mid_block.resnets.0.conv1.weight" in by_muon
    assert {name for name in by_adamw if name.endswith("weight") and "norm" not in name} == {
        "unet.conv_in.weight",
        "unet.conv_out.weight",
        "text_encoder.text_model.embeddings.token_embedding.weight",
        "text_encoder.text_model.embeddings.position_embedding.weight",
    }
    (alone,) = optimizers(model, "adamw", 0.01)
    assert len(alone.param_groups[0]["params"]) == len(names)
