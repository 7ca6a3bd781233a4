"""The folder layout of Diffusers: which files hold which network's weights, under which names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from gesso.errors import FormatError, WrongKindError
from gesso.weights.files import Tensors, read_tensors
from gesso.weights.formats import AGAIN
from gesso.weights.kinds import ONLY_SD1, Kind
from gesso.weights.settings import Settings

FOLDERS = {"unet": "unet", "autoencoder": "vae", "text_encoder": "text_encoder"}
"""Our name of each network -> its folder."""

STEMS = {
    "unet": ("diffusion_pytorch_model",),
    "autoencoder": ("diffusion_pytorch_model",),
    "text_encoder": ("model", "pytorch_model"),
}
"""How the names of each network's weights files begin."""

VARIANTS = (None, "fp16")
"""Which variants are looked for when none is asked for; Diffusers puts the name before the suffix."""

OTHER_KINDS = {
    "StableDiffusionXL": Kind.SDXL,
    "StableDiffusion3": Kind.SD3,
    "Flux": Kind.FLUX,
    "StableDiffusionUpscale": Kind.UPSCALER,
    "StableDiffusionLatentUpscale": Kind.UPSCALER,
    "StableDiffusionDepth2Img": Kind.DEPTH,
    "StableDiffusionInstructPix2Pix": Kind.PIX2PIX,
    "UNet2DConditionModel": Kind.UNET,
    "AutoencoderKL": Kind.AUTOENCODER,
    "CLIPTextModel": Kind.TEXT_ENCODER,
    "ControlNetModel": Kind.CONTROLNET,
    "MotionAdapter": Kind.MOTION,
}
"""How the class name in a folder of another kind begins."""

LINEAR_KINDS = {1024: Kind.SD2, 1280: Kind.SDXL_REFINER, 2048: Kind.SDXL}
"""By the width of the context: kinds whose UNet projects linearly around attention."""

OLD_ATTENTION = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}
"""The autoencoder's attention in folders written before Diffusers 0.12."""


UNUSED = ("embeddings.position_ids", "text_projection.weight")
"""Tensors of text encoders that SD 1.x does not read: a constant buffer and CLIP's projection."""


def refuse_other_kinds(folder: Path) -> None:
    """Say what a folder is if its own description says it is no SD 1.x model."""
    where = str(folder)
    name = class_name(folder)
    kind = next((kind for start, kind in OTHER_KINDS.items() if name.startswith(start)), None)
    kind = kind or kind_of_unet(folder / "unet" / "config.json")
    if kind:
        raise WrongKindError(f"is {kind}", ONLY_SD1, where=where)
    missing = [part for part in FOLDERS.values() if not (folder / part).is_dir()]
    if missing:
        inside = sorted(path.name for path in folder.glob("*") if path.suffix in (".safetensors", ".ckpt"))
        raise FormatError(
            f"is not a Diffusers folder of a whole model: it has no folder {', '.join(missing)}",
            f"Did you mean the file {inside[0]} in it?" if inside else ONLY_SD1,
            where=where,
        )


def class_name(folder: Path) -> str:
    """What a folder calls itself: the class of its pipeline or of its only network, or nothing."""
    for name in ("model_index.json", "config.json"):
        if (folder / name).is_file():
            values = Settings.read(folder / name).values
            return str(values.get("_class_name") or [*(values.get("architectures") or ()), ""][0])
    return ""


def kind_of_unet(file: Path) -> Kind | None:
    """Kinds that share SD 1.x's folders and classes, told by the UNet's configuration."""
    if not file.is_file():
        return None
    values = Settings.read(file).values
    if values.get("use_linear_projection"):
        return next(
            (kind for width, kind in LINEAR_KINDS.items() if values.get("cross_attention_dim") == width),
            None,
        )
    return Kind.PIX2PIX if values.get("in_channels") == 8 else None


def read_part(folder: Path, part: str, variant: str | None) -> Tensors:
    """Read one network's tensors, under our names."""
    subfolder = folder / FOLDERS[part]
    try:
        names = {path.name for path in subfolder.iterdir()}
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})", where=str(subfolder)) from error
    chosen = choose_weights(names, part, variant)
    if chosen is None:
        wanted = f" of variant {variant!r}" if variant else ""
        raise FormatError(f"has no weights file{wanted}", AGAIN, where=str(subfolder))
    tensors: Tensors = {}
    for path in shards(subfolder / chosen):
        tensors.update(read_tensors(path))
    return {modern_name(part, key): tensor for key, tensor in tensors.items() if not key.endswith(UNUSED)}


def choose_weights(names: Collection[str], part: str, variant: str | None) -> str | None:
    """The file to read a network from: safetensors before pickles, full precision before half.

    Args:
        names: of the files in the network's folder.
        part: ``unet``, ``autoencoder`` or ``text_encoder``.
        variant: only files of this variant ("fp16"); None takes what is there.
    """
    return next((name for name in candidates(part, variant) if name in names), None)


def candidates(part: str, variant: str | None) -> Iterator[str]:
    variants = VARIANTS if variant is None else (variant,)
    for suffix in ("safetensors", "bin"):
        for infix in (f".{name}" if name else "" for name in variants):
            for stem in STEMS[part]:
                yield f"{stem}{infix}.{suffix}"
                yield f"{stem}.{suffix}.index{infix}.json"


def shards(path: Path) -> list[Path]:
    """The files a network's weights are in: the one itself, or those its index lists."""
    if path.suffix != ".json":
        return [path]
    weight_map = Settings.read(path).values.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError("has no weight_map", AGAIN, where=str(path))
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or name in (".", ".."):
            raise FormatError(f"points out of its folder, to {name!r}", where=str(path))
    return [path.parent / name for name in names]


def modern_name(part: str, key: str) -> str:
    """The name published folders have today for a tensor."""
    if part == "text_encoder" and not key.startswith("text_model."):
        return f"text_model.{key}"  # transformers 5 leaves the prefix out
    if part == "autoencoder" and ".attentions." in key:
        for old, new in OLD_ATTENTION.items():
            key = key.replace(old, new)
    return key
