"""Tiny decoders from their files, as their author publishes them or as Diffusers does."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from gesso.errors import KeysError, WrongKindError
from gesso.models.tiny_decoder import TinyDecoder
from gesso.weights.checkpoint import assign, listing, shape
from gesso.weights.files import Tensors, read_tensors
from gesso.weights.finite import FiniteCheck
from gesso.weights.meta import on_meta

DIFFUSERS = "decoder."


def load_tiny_decoder(path: str | Path) -> TinyDecoder:
    """Read ``taesd_decoder.safetensors`` or ``.pth``, or the weights of Diffusers' ``AutoencoderTiny``.

    Raises:
        FormatError: it is no weights file.
        WrongKindError: it is one of something else.
        KeysError: tensors are missing, unexpected, of the wrong shape, or not finite.
    """
    path = Path(path)
    tensors = renamed(read_tensors(path), path)
    with on_meta():
        decoder = TinyDecoder()
    expected = decoder.state_dict()
    problems = [
        f"{len(names)} {what} ({listing(names)})"
        for what, names in (
            ("missing", [key for key in expected if key not in tensors]),
            ("unexpected", [key for key in tensors if key not in expected]),
            ("of the wrong shape", misshapen(tensors, expected)),
        )
        if names
    ]
    if problems:
        raise KeysError(f"tensors: {'; '.join(problems)}", where=str(path))
    FiniteCheck(tensors, path).wait()
    assign(decoder, {key: tensor.float() for key, tensor in tensors.items()})
    return decoder


def renamed(tensors: Tensors, path: Path) -> Tensors:
    """The tensors of the decoder under the names they have here.

    Raises:
        WrongKindError: there are none.
    """
    if any(key.startswith(f"{DIFFUSERS}layers.") for key in tensors):
        return {
            key.removeprefix(DIFFUSERS): tensor
            for key, tensor in tensors.items()
            if key.startswith(DIFFUSERS)
        }
    if all(key.partition(".")[0].isdecimal() for key in tensors):
        # The author's has what keeps latents in bounds as a layer of its own, the first.
        parts = ((key.split(".", 1), tensor) for key, tensor in tensors.items())
        return {f"layers.{int(name[0]) - 1}.{name[-1]}": tensor for name, tensor in parts}
    raise WrongKindError(
        "is no tiny decoder", "Use taesd_decoder.safetensors, or Diffusers' taesd.", where=str(path)
    )


def misshapen(tensors: Tensors, expected: dict[str, Tensor]) -> list[str]:
    return [
        f"{key} is {shape(tensor)} instead of {shape(expected[key])}"
        for key, tensor in tensors.items()
        if key in expected and tensor.shape != expected[key].shape
    ]
