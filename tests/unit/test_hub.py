"""Model names to local paths, with a made-up cache and a made-up hub: nothing here touches the network."""

from __future__ import annotations

import json
import types
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

from gesso.config import SD15
from gesso.errors import CheckpointError, FormatError, HubError
from gesso.weights import hub
from gesso.weights.folder_json import config_files

SAFETENSORS = "diffusion_pytorch_model.safetensors"
FILES = [
    "model_index.json",
    "README.md",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "safety_checker/model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder/pytorch_model.bin",
    "unet/config.json",
    f"unet/{SAFETENSORS}",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "vae/config.json",
    f"vae/{SAFETENSORS}",
    "v1-5-pruned.ckpt",
    "v1-5-pruned-emaonly.safetensors",
]
NEEDED = {
    "model_index.json",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "unet/config.json",
    f"unet/{SAFETENSORS}",
    "vae/config.json",
    f"vae/{SAFETENSORS}",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


def fill_cache(cache: Path, name: str, files: set[str]) -> Path:
    """Lay a model out as huggingface_hub's cache does: blobs, links to them, and a reference."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123abcd"
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123abcd")
    configs = config_files(SD15)
    for number, file in enumerate(sorted(files)):
        blob = folder / "blobs" / f"{number:040x}"
        blob.write_text(json.dumps(configs.get(file, {})))
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).symlink_to(blob)
    return snapshot


@pytest.mark.parametrize("name", ["org/model", "runwayml/stable-diffusion-v1-5"])
def test_a_whole_cached_copy_needs_no_network(tmp_path: Path, name: str) -> None:
    snapshot = fill_cache(tmp_path, name, NEEDED)
    assert hub.resolve(name, cache=tmp_path) == snapshot


def test_moved_models_are_found_at_their_new_home(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path, "stable-diffusion-v1-5/stable-diffusion-inpainting", NEEDED)
    assert hub.resolve("runwayml/stable-diffusion-inpainting", cache=tmp_path) == snapshot


@pytest.mark.parametrize("missing", sorted(name for name in NEEDED if name[:4] in ("unet", "vae/", "text")))
def test_a_cached_copy_without_a_needed_file_is_not_taken(tmp_path: Path, missing: str) -> None:
    fill_cache(tmp_path, "org/model", NEEDED - {missing})
    with pytest.raises(HubError, match="could not be downloaded"):
        hub.resolve("org/model", cache=tmp_path)


def test_a_broken_download_is_not_taken(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path, "org/model", NEEDED)
    (snapshot / "unet" / SAFETENSORS).resolve().unlink()
    with pytest.raises(HubError):
        hub.resolve("org/model", cache=tmp_path)


def test_shards_must_all_be_there(tmp_path: Path) -> None:
    index = "unet/diffusion_pytorch_model.safetensors.index.json"
    shard = "diffusion_pytorch_model-0000{}-of-00002.safetensors"
    files = (NEEDED - {f"unet/{SAFETENSORS}"}) | {index, "unet/" + shard.format(1)}
    snapshot = fill_cache(tmp_path, "org/model", files)
    weight_map = {"a": shard.format(1), "b": shard.format(2)}
    (snapshot / index).resolve().write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(HubError):
        hub.resolve("org/model", cache=tmp_path)
    (snapshot / "unet" / shard.format(2)).write_text("")
    assert hub.resolve("org/model", cache=tmp_path) == snapshot


def test_a_single_cached_file_is_taken_where_there_is_no_folder(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path, "org/one", {"dream.safetensors", "README.md"})
    assert hub.resolve("org/one", cache=tmp_path) == snapshot / "dream.safetensors"


def test_only_what_is_needed_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def model_info(_: object, name: str, timeout: float) -> types.SimpleNamespace:
        return types.SimpleNamespace(siblings=[types.SimpleNamespace(rfilename=file) for file in FILES])

    def snapshot_download(name: str, **options: object) -> str:
        asked.update(name=name, **options)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert hub.resolve("runwayml/stable-diffusion-v1-5", cache=tmp_path) == tmp_path / "snapshot"
    assert asked["name"] == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert set(asked["allow_patterns"]) == NEEDED
    assert asked["cache_dir"] == tmp_path

    only_half = [file for file in FILES if not file.startswith(("vae", "text"))]
    with pytest.raises(FormatError, match="no weights in"):
        hub.wanted_files(only_half, None, "org/model")


def test_shards_of_the_right_variant_are_wanted() -> None:
    names = {
        "m.safetensors.index.json",
        "m.safetensors.index.fp16.json",
        "m-00001-of-00002.safetensors",
        "m-00002-of-00002.safetensors",
        "m.fp16-00001-of-00002.safetensors",
        "m-00002-of-00002.fp16.safetensors",
        "m-00001-of-00002.bin",
    }
    assert set(hub.shards_of("m.safetensors.index.json", names)) == {
        "m-00001-of-00002.safetensors",
        "m-00002-of-00002.safetensors",
    }
    assert set(hub.shards_of("m.safetensors.index.fp16.json", names)) == {
        "m.fp16-00001-of-00002.safetensors",
        "m-00002-of-00002.fp16.safetensors",
    }
    assert not set(hub.shards_of("m.safetensors", names))


def test_a_repository_of_many_models_asks_for_a_choice() -> None:
    with pytest.raises(FormatError, match=r"2 models \(a\.safetensors, b\.safetensors\)"):
        hub.wanted_files(["a.safetensors", "b.safetensors", "c.ckpt"], None, "org/many")
    assert hub.wanted_files(["c.ckpt", "x.txt"], None, "org/one") == ["c.ckpt"]
    with pytest.raises(FormatError, match="neither"):
        hub.wanted_files(["README.md"], None, "org/none")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatedRepoError, "licence"),
        (RepositoryNotFoundError, "nor a model on huggingface.co"),
        (OfflineModeIsEnabled, "HF_HUB_OFFLINE"),
        (TimeoutError, "could not be downloaded"),
    ],
)
def test_what_the_hub_says_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error.__new__(error)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(HubError, match=message):
        hub.resolve("org/model", cache=tmp_path)


@pytest.mark.parametrize("name", ["models/v1-5.ckpt", "a/b/c", "./model", "../x", "nothing", "/org/x"])
def test_mistyped_paths_do_not_reach_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(*_: object) -> None:
        raise AssertionError("asked the hub")

    monkeypatch.setattr(hub, "find_in_hub", fail)
    with pytest.raises(CheckpointError, match="no such file or folder"):
        hub.resolve(name)


def test_paths_come_before_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub.resolve("org/model", cache=tmp_path) == Path("org/model")


def test_the_usual_cache_is_huggingface_hubs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = fill_cache(tmp_path, "org/model", NEEDED)
    assert hub.resolve("org/model") == snapshot


def test_local_models_are_whole_and_of_the_right_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "STORYBOOK_FOLDER", tmp_path / "none")
    snapshot = fill_cache(tmp_path, "org/model", NEEDED)
    fill_cache(tmp_path, "org/half", NEEDED - {f"unet/{SAFETENSORS}"})
    other = fill_cache(tmp_path, "org/xl", NEEDED)
    (other / "model_index.json").resolve().write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    (tmp_path / "datasets--org--pictures").mkdir()
    (tmp_path / "models--broken--one").mkdir()
    assert hub.local_models(tmp_path) == [hub.LocalModel("org/model", snapshot)]
    assert hub.local_models(tmp_path / "nowhere") == []


def test_the_built_in_model_is_listed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(hub, "STORYBOOK_FOLDER", folder)
    with pytest.raises(CheckpointError, match="without weights"):
        hub.resolve("storybook")
    (folder / "model_index.json").write_text("{}")
    assert hub.resolve("storybook") == folder
    assert hub.local_models(tmp_path)[0] == hub.LocalModel("storybook", folder)
