"""The folder layout of Diffusers: which files hold which network's weights, under which names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from gesso.errors import FormatError, WrongKindError
from gesso.weights.files import Tensors, read_tensors
from gesso.weights.formats import AGAIN
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

OTHER_FAMILIES = {
    "StableDiffusionXL": "an SDXL model",
    "StableDiffusion3": "a Stable Diffusion 3 model",
    "Flux": "a FLUX model",
    "StableDiffusionUpscale": "an upscaler",
    "StableDiffusionLatentUpscale": "an upscaler",
    "StableDiffusionDepth2Img": "a depth-guided Stable Diffusion 2.x model",
    "StableDiffusionInstructPix2Pix": "an InstructPix2Pix model",
    "StableCascade": "a Stable Cascade model",
    "PixArt": "a PixArt model",
    "Kandinsky": "a Kandinsky model",
    "UNet2DConditionModel": "a UNet alone",
    "AutoencoderKL": "an autoencoder (VAE) alone",
    "ControlNetModel": "a ControlNet",
    "MotionAdapter": "an AnimateDiff motion module",
}
"""How the class name in a folder of another kind begins, and what the folder then is."""

OLD_ATTENTION = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}
"""The autoencoder's attention in folders written before Diffusers 0.12."""


def refuse_other_kinds(folder: Path) -> None:
    """Say what a folder is if its own description says it is no SD 1.x model."""
    where = str(folder)
    index, component = folder / "model_index.json", folder / "config.json"
    described = next((path for path in (index, component) if path.is_file()), None)
    name = str(Settings(described).values.get("_class_name", "")) if described else ""
    kind = next((kind for start, kind in OTHER_FAMILIES.items() if name.startswith(start)), None)
    if kind:
        raise WrongKindError(
            f"is {kind} ({name})", "gesso runs whole Stable Diffusion 1.x models.", where=where
        )
    missing = [part for part in FOLDERS.values() if not (folder / part).is_dir()]
    if missing:
        inside = sorted(path.name for path in folder.glob("*") if path.suffix in (".safetensors", ".ckpt"))
        raise FormatError(
            f"is not a Diffusers folder of a whole model: it has no folder {', '.join(missing)}",
            f"Did you mean the file {inside[0]} in it?" if inside else "",
            where=where,
        )


def read_part(folder: Path, part: str, variant: str | None) -> Tensors:
    """Read one network's tensors, under our names."""
    subfolder = folder / FOLDERS[part]
    names = {path.name for path in subfolder.iterdir()}
    chosen = choose_weights(names, part, variant)
    if chosen is None:
        wanted = f" of variant {variant!r}" if variant else ""
        raise FormatError(f"has no weights file{wanted}", AGAIN, where=str(subfolder))
    tensors: Tensors = {}
    for path in shards(subfolder / chosen):
        tensors.update(read_tensors(path))
    return {modern_name(part, key): tensor for key, tensor in tensors.items() if "position_ids" not in key}


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
    weight_map = Settings(path).values.get("weight_map")
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
