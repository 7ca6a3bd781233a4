"""Tiny decoders, from files in both layouts, against Diffusers' AutoencoderTiny."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from safetensors.torch import save_file
from torch import Tensor

from gesso.errors import KeysError, WrongKindError
from gesso.weights.tiny_decoder import load_tiny_decoder


@pytest.fixture(scope="module")
def reference() -> AutoencoderTiny:
    torch.manual_seed(0)
    return AutoencoderTiny().eval()


def written(folder: Path, tensors: dict[str, Tensor], suffix: str = ".safetensors") -> Path:
    path = folder / f"decoder{suffix}"
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    return path


def published(reference: AutoencoderTiny) -> dict[str, Tensor]:
    """The names of the author's own files: a layer that clamps comes first."""
    return {
        f"{int(number) + 1}.{rest}": tensor
        for number, _, rest in (name.partition(".") for name in reference.decoder.layers.state_dict())
        for tensor in [reference.decoder.layers.state_dict()[f"{number}.{rest}"]]
    }


@pytest.mark.parametrize(
    ("layout", "suffix"), [("diffusers", ".safetensors"), ("own", ".safetensors"), ("own", ".pth")]
)
@torch.inference_mode()
def test_it_decodes_the_same(reference: AutoencoderTiny, tmp_path: Path, layout: str, suffix: str) -> None:
    tensors = reference.state_dict() if layout == "diffusers" else published(reference)
    decoder = load_tiny_decoder(written(tmp_path, tensors, suffix))
    latents = 3 * torch.randn(2, 4, 5, 7)
    (theirs,) = reference.decode(latents, return_dict=False)
    torch.testing.assert_close(decoder(latents), theirs, atol=1e-5, rtol=1e-5)


def test_other_files_are_refused(reference: AutoencoderTiny, tmp_path: Path) -> None:
    with pytest.raises(WrongKindError, match="is no tiny decoder"):
        load_tiny_decoder(written(tmp_path, {"conv_in.weight": torch.zeros(1)}))
    tensors = published(reference)
    tensors["1.weight"] = torch.zeros(64, 16, 3, 3)
    del tensors["3.conv.0.bias"]
    with pytest.raises(
        KeysError, match=r"1 missing .*1 of the wrong shape \(.*64×16×3×3 instead of 64×4×3×3"
    ):
        load_tiny_decoder(written(tmp_path, tensors))
    broken = {**published(reference), "1.bias": torch.full((64,), torch.nan)}
    with pytest.raises(KeysError, match=r"NaN"):
        load_tiny_decoder(written(tmp_path, broken))
