"""Model names to local paths: the built-in model, and Hugging Face ids through that hub's cache.

The only file of gesso that downloads, and only when an id is asked for whose files are not all cached.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from gesso.config import PRESETS, STORYBOOK
from gesso.errors import CheckpointError, FormatError, HubError
from gesso.weights import diffusers

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WEIGHTS_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")

MOVED = {
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "runwayml/stable-diffusion-inpainting": "stable-diffusion-v1-5/stable-diffusion-inpainting",
}
"""Ids of models that were removed from where they first were, and where they are now."""

TIMEOUT = 10.0
"""Seconds to wait for the hub's first answer."""

STORYBOOK_FOLDER = Path(__file__).parents[1] / "storybook" / "weights"


@dataclass(frozen=True)
class LocalModel:
    """A model that can be loaded without a download; ``name`` is what ``resolve`` takes."""

    name: str
    path: Path


def resolve(source: str | Path, *, variant: str | None = None, cache: Path | None = None) -> Path:
    """Find the file or folder a model's name stands for, and download it if it is a hub id.

    Args:
        source: an existing path; "storybook", the built-in model; or a Hugging Face id, "org/name".
        variant: which variant of the weights to download ("fp16").
        cache: the hub's cache; None for the usual one (which ``HF_HUB_CACHE`` sets).

    Raises:
        HubError: the id's files are neither cached nor to be downloaded.
        CheckpointError: the name is none of these.
    """
    name = str(source)
    try:
        path = Path(source).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError, ValueError) as error:  # too long, no right to look, the home of nobody
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise CheckpointError(f"cannot be looked up ({reason})", "Check the path.", where=name) from error
    if name == STORYBOOK.name and (STORYBOOK_FOLDER / "model_index.json").exists():
        return STORYBOOK_FOLDER
    if name in PRESETS:
        raise CheckpointError(
            "is the name of an architecture, without weights",
            "Give a checkpoint of it: a file, a folder or a Hugging Face id.",
            where=name,
        )
    if isinstance(source, str) and HUB_ID.fullmatch(name) and not name.endswith(WEIGHTS_SUFFIXES):
        return find_in_hub(name, variant, hub_cache() if cache is None else cache)
    raise CheckpointError("there is no such file or folder", suggestion(path), where=name)


def suggestion(path: Path) -> str:
    """Advice on a mistyped path: the nearest name in the same folder."""
    if not path.parent.is_dir():
        return f"There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1)
    return f"Did you mean {path.parent / near[0]}?" if near else "Check the path."


def hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def find_in_hub(name: str, variant: str | None, cache: Path) -> Path:
    """A cached copy if it is whole, else a download."""
    names = (name, MOVED[name]) if name in MOVED else (name,)
    for known_as in names:
        snapshot = cached_snapshot(known_as, cache)
        found = snapshot and whole_model(snapshot, variant)
        if found:
            return found
    return download(names[-1], variant, cache)


def cached_snapshot(name: str, cache: Path) -> Path | None:
    """Where the cache has the newest version of a model it knows of, perhaps only in part."""
    folder = cache / f"models--{name.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = folder / "snapshots" / revision
    return snapshot if revision and snapshot.is_dir() else None


def whole_model(snapshot: Path, variant: str | None) -> Path | None:
    """The folder or single file of a snapshot that can be opened, if all of it is there."""
    names = {path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()}
    try:
        wanted = wanted_files(names, variant, str(snapshot))
        if "model_index.json" not in names:
            return snapshot / wanted[0]
        for name in (name for name in wanted if name.endswith(".index.json")):
            if not all(shard.is_file() for shard in diffusers.shards(snapshot / name)):
                return None
    except CheckpointError:
        return None
    return snapshot


def wanted_files(names: Collection[str], variant: str | None, where: str) -> list[str]:
    """Which files of a repository make up a model: one set of weights, the JSON and the tokenizer.

    Raises:
        FormatError: a network has no weights among them, or there are several single files.
    """
    if "model_index.json" not in names:
        return [single_file(names, where)]
    wanted = ["model_index.json", "scheduler/scheduler_config.json"]
    wanted += [name for name in names if name.startswith("tokenizer/")]
    for part, folder in diffusers.FOLDERS.items():
        inside = {name.removeprefix(f"{folder}/") for name in names if name.startswith(f"{folder}/")}
        chosen = diffusers.choose_weights(inside, part, variant)
        if chosen is None or "config.json" not in inside:
            raise FormatError(f"has no weights in {folder}/", where=where)
        wanted += [f"{folder}/{name}" for name in ("config.json", chosen, *shards_of(chosen, inside))]
    return [name for name in wanted if name in names]


def shards_of(chosen: str, names: Collection[str]) -> Iterator[str]:
    """The shards that belong to an index, told by their names."""
    stem, is_index, variant = chosen.removesuffix(".json").partition(".index")
    if not is_index:
        return
    stem, _, suffix = stem.rpartition(".")
    shard = re.compile(rf"{stem}({re.escape(variant)})?-\d+-of-\d+({re.escape(variant)})?\.{suffix}")
    yield from (name for name in names if shard.fullmatch(name) and variant in name)


def single_file(names: Collection[str], where: str) -> str:
    for suffix in (".safetensors", ".ckpt"):
        files = sorted(name for name in names if name.endswith(suffix) and "/" not in name)
        if len(files) == 1:
            return files[0]
        if files:
            raise FormatError(
                f"holds {len(files)} models ({', '.join(files[:5])})",
                "Download one of them, and give its path.",
                where=where,
            )
    raise FormatError("holds neither a Diffusers folder nor a single checkpoint file", where=where)


def download(name: str, variant: str | None, cache: Path) -> Path:
    """Fetch a model's files into the cache, and only those that are needed."""
    from huggingface_hub import HfApi, errors, snapshot_download

    try:
        names = [file.rfilename for file in HfApi().model_info(name, timeout=TIMEOUT).siblings or ()]
        wanted = wanted_files(names, variant, name)
        snapshot = Path(snapshot_download(name, allow_patterns=wanted, cache_dir=cache))
    except errors.GatedRepoError as error:
        raise HubError(
            "asks you to accept its licence first",
            f"Do so at https://huggingface.co/{name}, then run `hf auth login`.",
            where=name,
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            "is neither a file or folder here nor a model on huggingface.co",
            "Check the spelling; for a private model run `hf auth login`.",
            where=name,
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(
            "is not in the cache, and HF_HUB_OFFLINE forbids to download it",
            "Unset HF_HUB_OFFLINE, or give a local file or folder.",
            where=name,
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # the hub's client changes its HTTP library, and with it the errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise HubError(
            f"is not in the cache, and could not be downloaded ({reason})",
            "Check the network, or give a local file or folder.",
            where=name,
        ) from error
    return snapshot if "model_index.json" in wanted else snapshot / wanted[0]


def local_models(cache: Path | None = None) -> list[LocalModel]:
    """The models that load without a download: the built-in one, and SD 1.x folders in the hub's cache."""
    found = []
    if (STORYBOOK_FOLDER / "model_index.json").exists():
        found.append(LocalModel(STORYBOOK.name, STORYBOOK_FOLDER))
    for folder in sorted((hub_cache() if cache is None else cache).glob("models--*--*")):
        name = folder.name.removeprefix("models--").replace("--", "/", 1)
        snapshot = cached_snapshot(name, folder.parent)
        path = snapshot and whole_model(snapshot, None)
        if path and path.is_dir() and is_sd1(path):
            found.append(LocalModel(name, path))
    return found


def is_sd1(folder: Path) -> bool:
    from gesso.weights.folder_config import read_config

    try:
        diffusers.refuse_other_kinds(folder)
        read_config(folder)
    except CheckpointError:
        return False
    return True
