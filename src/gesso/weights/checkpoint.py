"""Open a checkpoint of either layout, and build its models around the memory-mapped weights."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gesso.config import ModelConfig
from gesso.errors import CheckpointError, KeysError, WrongKindError
from gesso.models.autoencoder import Autoencoder
from gesso.models.text_encoder import TextEncoder
from gesso.models.unet import UNet
from gesso.weights import diffusers, folder_config, ldm, tokenizer_files
from gesso.weights.files import Tensors, read_metadata, read_tensors
from gesso.weights.finite import FiniteCheck
from gesso.weights.hub import resolve
from gesso.weights.infer import infer_config
from gesso.weights.keymap import KeyMap
from gesso.weights.kinds import ONLY_SD1, Kind, recognise
from gesso.weights.meta import on_meta

NOTE = "gesso.config"
"""Metadata key of a safetensors file under which gesso notes the configuration."""

PARTS = ("unet", "autoencoder", "text_encoder")

NAMED = 5
"""How many tensors a message names before it counts the rest."""


class Models(NamedTuple):
    """The three networks, in evaluation mode, frozen."""

    text_encoder: TextEncoder
    unet: UNet
    autoencoder: Autoencoder


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights, not yet in any network.

    Attributes:
        path: the file or folder.
        config: its networks.
        unet, autoencoder, text_encoder: their state dicts under Diffusers' names, memory-mapped where
            the file format allows it, in the precision of the file.
        tokenizer: folder with the vocabulary, which lasts as long as this object; None for CLIP's own.
        keymap: the names in the file, where they differ from ours.
        unknown: tensors in the file that the layout has no place for, under their names there.
    """

    path: Path
    config: ModelConfig
    unet: Tensors = field(repr=False)
    autoencoder: Tensors = field(repr=False)
    text_encoder: Tensors = field(repr=False)
    tokenizer: Path | None = None
    keymap: KeyMap | None = field(default=None, repr=False)
    unknown: tuple[str, ...] = ()

    @property
    def layout(self) -> Literal["diffusers", "ldm"]:
        return "diffusers" if self.keymap is None else "ldm"

    def name_in_file(self, part: str, key: str) -> str:
        """What the file calls a tensor, for messages."""
        name = self.keymap and self.keymap.their_name(f"{part}.{key}")
        return name or f"{diffusers.FOLDERS[part]}: {key}"


def open_checkpoint(source: str | Path, *, ema: bool = False, variant: str | None = None) -> Checkpoint:
    """Open a Stable Diffusion 1.x model: a Diffusers folder, a single LDM file or a Hugging Face id.

    Args:
        source: path, hub id ("org/name") or "storybook", the built-in model.
        ema: take the UNet weights averaged over training from an LDM file that has both.
        variant: read only this variant of a Diffusers folder's weights ("fp16").

    Raises:
        FormatError, UnsafePickleError: a file is unreadable, or asks for code to be run.
        WrongKindError: it is a sound file of another kind; the message says which.
        HubError: the id is in neither reach nor cache.
    """
    path = resolve(source, variant=variant)
    if path.is_dir():
        if ema:
            raise CheckpointError("is a Diffusers folder, which has no EMA weights", where=str(path))
        return open_folder(path, variant)
    return open_file(path, ema=ema)


def open_folder(path: Path, variant: str | None) -> Checkpoint:
    diffusers.refuse_other_kinds(path)
    tokenizer = path / "tokenizer"
    return Checkpoint(
        path=path,
        config=folder_config.read_config(path),
        tokenizer=tokenizer if tokenizer.is_dir() else None,
        unet=diffusers.read_part(path, "unet", variant),
        autoencoder=diffusers.read_part(path, "autoencoder", variant),
        text_encoder=diffusers.read_part(path, "text_encoder", variant),
    )


def open_file(path: Path, *, ema: bool) -> Checkpoint:
    where = str(path)
    tensors = read_tensors(path)
    kind = recognise(tensors)
    if kind not in (Kind.SD1, Kind.SD1_INPAINTING):
        raise WrongKindError(f"is {kind}", ONLY_SD1, where=where)
    averaged = ldm.averaged(tensors) if ema else {}
    tensors = ldm.model_tensors(tensors)
    if ema and len(averaged) < sum(key.startswith(f"{ldm.UNET}.") for key in tensors):
        raise CheckpointError(
            "does not have the EMA weights of its UNet", "Open it without asking for them.", where=where
        )
    tensors |= averaged
    metadata = read_metadata(path)
    note = metadata.get(NOTE)
    config = infer_config(tensors, path) if note is None else folder_config.read_note(note, path)
    keymap = ldm.keymap(config)
    ours, unknown = keymap.to_ours(tensors)
    parts = split(ours)
    tokenizer = tokenizer_files.unpack(metadata)
    checkpoint = Checkpoint(
        path=path,
        config=config,
        unet=parts["unet"],
        autoencoder=parts["autoencoder"],
        text_encoder=parts["text_encoder"],
        tokenizer=tokenizer,
        keymap=keymap,
        unknown=tuple(unknown),
    )
    if tokenizer:
        weakref.finalize(checkpoint, shutil.rmtree, tokenizer, ignore_errors=True)
    return checkpoint


def split(tensors: Mapping[str, Tensor]) -> dict[str, Tensors]:
    """``unet.conv_in.bias`` -> ``conv_in.bias`` of the unet, and so on."""
    parts: dict[str, Tensors] = {part: {} for part in PARTS}
    for key, tensor in tensors.items():
        part, _, name = key.partition(".")
        parts[part][name] = tensor
    return parts


def build(
    checkpoint: Checkpoint, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> Models:
    """Build the three networks around a checkpoint's tensors.

    The networks are made on the meta device, so nothing is allocated or initialised; then the tensors
    become their parameters. On the CPU, and unless ``dtype`` asks for another precision, the weights stay
    where they are: in the file, mapped.

    Raises:
        KeysError: tensors are missing, unexpected, of the wrong shape, or not finite.
    """
    models, tensors = assemble(checkpoint, dtype, device)
    FiniteCheck(tensors, checkpoint.path).wait()
    return models


def assemble(
    checkpoint: Checkpoint, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> tuple[Models, Tensors]:
    """`build`, but for the search for NaN and infinities: nothing mapped has been read yet.

    Returns:
        the networks; and their tensors under the names in the file, to be looked through before use.

    Raises:
        KeysError: tensors are missing, unexpected, or of the wrong shape or kind; all are checked before
            any is loaded.
    """
    config = checkpoint.config
    with on_meta():
        models = Models(
            TextEncoder(config.text_encoder), UNet(config.unet), Autoencoder(config.autoencoder)
        )
    check_keys(checkpoint, models)
    check_dtypes(checkpoint)
    tensors: Tensors = {}
    for part in PARTS:
        ready = {
            key: tensor.to(device=device, dtype=dtype) for key, tensor in getattr(checkpoint, part).items()
        }
        tensors |= {checkpoint.name_in_file(part, key): tensor for key, tensor in ready.items()}
        assign(getattr(models, part), ready)
    return models, tensors


def check_keys(checkpoint: Checkpoint, models: Models) -> None:
    missing: list[str] = []
    unexpected = list(checkpoint.unknown)
    misshapen: list[str] = []
    for part in PARTS:
        expected = getattr(models, part).state_dict()
        tensors: Tensors = getattr(checkpoint, part)
        missing += [checkpoint.name_in_file(part, key) for key in expected if key not in tensors]
        unexpected += [checkpoint.name_in_file(part, key) for key in tensors if key not in expected]
        misshapen += [
            f"{checkpoint.name_in_file(part, key)} is {shape(tensors[key])} instead of {shape(meta)}"
            for key, meta in expected.items()
            if key in tensors and tensors[key].shape != meta.shape
        ]
    problems = [
        f"{len(names)} {what} ({listing(names)})"
        for what, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of the wrong shape", misshapen),
        )
        if names
    ]
    if problems:
        raise KeysError(f"tensors: {'; '.join(problems)}", where=str(checkpoint.path))


def check_dtypes(checkpoint: Checkpoint) -> None:
    for part in PARTS:
        for key, tensor in getattr(checkpoint, part).items():
            if not tensor.is_floating_point():
                raise KeysError(
                    f"tensor {checkpoint.name_in_file(part, key)} is {tensor.dtype}, not floating point",
                    where=str(checkpoint.path),
                )


def assign(model: nn.Module, tensors: Tensors) -> None:
    """Make tensors the parameters of a network on the meta device, one for each, and freeze it."""
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        for name, _ in list(module.named_parameters(recurse=False)):
            parameter = nn.Parameter(tensors[prefix + name], requires_grad=False)
            module.register_parameter(name, parameter)
    model.eval()


def shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"


def listing(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
