"""Write a checkpoint in either layout, and convert one to the other."""

from __future__ import annotations

from pathlib import Path

import torch

from gesso.errors import OutputError
from gesso.weights import diffusers, ldm, tokenizer_files
from gesso.weights.atomic import new_file, new_folder, refuse_existing
from gesso.weights.checkpoint import NOTE, PARTS, Checkpoint, build, open_checkpoint
from gesso.weights.folder_json import config_files, config_note
from gesso.weights.safetensors_file import write_safetensors
from gesso.weights.tokenizer_files import write_json

PICKLES = (".ckpt", ".pt", ".pth", ".bin")


def convert(
    source: str | Path, target: str | Path, *, dtype: torch.dtype | None = None, ema: bool = False
) -> Path:
    """Write a checkpoint anew: an LDM file if ``target`` ends in .safetensors, else a Diffusers folder.

    Weights go over bit for bit unless ``dtype`` asks for another precision. The source is checked as
    strictly as for drawing before anything is written. Returns the target.

    Args:
        ema: take the UNet weights averaged over training from an LDM file that has both.

    Raises:
        CheckpointError: ``source`` cannot be read, or is incomplete.
        OutputError: ``target`` exists, or cannot be written; nothing of it is left behind.
    """
    target = Path(target)
    if target.suffix in PICKLES:
        raise OutputError(
            f"gesso writes no {target.suffix} files, which can carry code",
            "Use a name that ends in .safetensors.",
            where=str(target),
        )
    refuse_existing(target)
    checkpoint = open_checkpoint(source, ema=ema)
    build(checkpoint)
    save = save_file if target.suffix == ".safetensors" else save_folder
    save(checkpoint, target, dtype=dtype)
    return target


def save_folder(checkpoint: Checkpoint, path: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a Diffusers folder, which ``StableDiffusionPipeline.from_pretrained`` loads.

    Raises:
        OutputError: ``path`` exists, or cannot be written; nothing of it is left behind.
    """
    config = checkpoint.config
    with new_folder(path) as folder:
        for name, content in config_files(config).items():
            (folder / name).parent.mkdir(exist_ok=True)
            write_json(folder / name, content)
        tokenizer_files.copy(checkpoint.tokenizer, folder / "tokenizer", config.text_encoder.max_length)
        for part in PARTS:
            file = folder / diffusers.FOLDERS[part] / f"{diffusers.STEMS[part][0]}.safetensors"
            write_safetensors(file, getattr(checkpoint, part), {}, dtype)


def save_file(checkpoint: Checkpoint, path: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a single LDM file, which ``StableDiffusionPipeline.from_single_file`` loads.

    Its metadata notes what shapes do not tell (number of heads, prediction, a vocabulary of its own).

    Raises:
        OutputError: ``path`` exists, or cannot be written; nothing of it is left behind.
    """
    ours = {f"{part}.{key}": tensor for part in PARTS for key, tensor in getattr(checkpoint, part).items()}
    theirs = ldm.keymap(checkpoint.config).to_theirs(ours)
    notes = {NOTE: config_note(checkpoint.config), **tokenizer_files.notes(checkpoint.tokenizer)}
    with new_file(path) as temporary:
        write_safetensors(temporary, theirs, notes, dtype)
