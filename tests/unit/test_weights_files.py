"""Weights files in every format and under every suffix, whole and damaged."""

from __future__ import annotations

import collections
import contextlib
import pickle
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gesso.errors import CheckpointError, FormatError
from gesso.weights.files import read_metadata, read_tensors
from gesso.weights.safetensors_file import write_safetensors

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".zip", "")
TENSORS = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "a.bias": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "b": torch.tensor(3, dtype=torch.int64),
    "c": torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16),
}


def legacy_save(value: object, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


WRITERS = {"safetensors": save_file, "zip": torch.save, "legacy": legacy_save}


def assert_same(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype
        assert torch.equal(actual[name], tensor), name


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("writer", WRITERS)
def test_the_bytes_decide_and_not_the_suffix(tmp_path: Path, writer: str, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    WRITERS[writer](TENSORS, path)
    assert_same(read_tensors(path), TENSORS)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the process's memory map")
@pytest.mark.parametrize("writer", ["safetensors", "zip"])
def test_tensors_are_mapped_privately(tmp_path: Path, writer: str) -> None:
    path = tmp_path / f"{writer}.weights"
    WRITERS[writer](TENSORS, path)
    before = path.read_bytes()
    tensors = read_tensors(path)
    assert str(path) in Path("/proc/self/maps").read_text()
    tensors["a.weight"].zero_()
    assert path.read_bytes() == before


def test_a_compressed_zip_is_read_too(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "model.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "model.ckpt") as plain,
        zipfile.ZipFile(tmp_path / "small.ckpt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in plain.namelist():
            small.writestr(name, plain.read(name))
    assert_same(read_tensors(tmp_path / "small.ckpt"), TENSORS)


def test_containers_become_dotted_names(tmp_path: Path) -> None:
    one, two = torch.ones(1), torch.full((1,), 2.0)
    torch.save({"string_to_param": {"*": one}, "layers": [{"w": two}], "name": "cat"}, tmp_path / "e.pt")
    assert_same(read_tensors(tmp_path / "e.pt"), {"string_to_param.*": one, "layers.0.w": two})


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes that pickle under the names training frameworks have, while this fixture lasts."""
    names = {
        "ModelCheckpoint": "pytorch_lightning.callbacks.model_checkpoint",
        "AttributeDict": "pytorch_lightning.utilities.parsing",
        "DictConfig": "omegaconf.dictconfig",
    }
    classes = {}
    for name, module_name in names.items():
        base = dict if name == "AttributeDict" else object
        classes[name] = type(name, (base,), {"__module__": module_name})
        for end in range(1, module_name.count(".") + 2):
            parent = ".".join(module_name.split(".")[:end])
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent, types.ModuleType(parent)))
        setattr(sys.modules[module_name], name, classes[name])
    return types.SimpleNamespace(**classes)


@pytest.mark.parametrize("save", [torch.save, legacy_save])
def test_training_state_is_passed_over_without_importing_anything(
    tmp_path: Path, lightning: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, save
) -> None:
    configuration = lightning.DictConfig()
    configuration.content = {"lr": 1e-4}
    path = tmp_path / "full.ckpt"
    save(
        {
            "epoch": 8,
            "global_step": np.int64(470000),
            "pytorch-lightning_version": "1.4.2",
            "callbacks": {lightning.ModelCheckpoint: {"best_model_score": torch.tensor(0.1)}},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}, "lr": np.float64(1e-4)}],
            "lr_schedulers": collections.defaultdict(list, {"a": [np.arange(3)]}),
            "hyper_parameters": lightning.AttributeDict(config=configuration, kinds={1, 2}),
            "state_dict": collections.OrderedDict(TENSORS),
        },
        path,
    )
    for name in [name for name in sys.modules if name.split(".")[0] in ("pytorch_lightning", "omegaconf")]:
        monkeypatch.delitem(sys.modules, name)
    assert_same(read_tensors(path), TENSORS)
    assert "pytorch_lightning" not in sys.modules


GALLERY = {
    "empty": (b"", "is empty"),
    "a byte": (b"?", "not a weights file"),
    "text": (b"hello, world", "not a weights file"),
    "zeros": (bytes(4096), "nothing but zeros"),
    "HTML": (b"\n<!DOCTYPE html><html><body>Log in</body></html>", "is a web page"),
    "XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
    "JSON": (b'{"error": "Repository not found"}', "is JSON text"),
    "LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"e1" * 32 + b"\nsize 4265380512\n",
        "is a git-LFS pointer to a file of 4,265,380,512 bytes",
    ),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "is a GGUF file"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "is a PNG picture"),
    "gzip": (b"\x1f\x8b\x08\x00", "is a gzip archive"),
    "zip start": (b"PK\x03\x04" + bytes(100), "is cut off or corrupt"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "is an empty zip archive"),
    "safetensors header cut off": (b"\x40\x00\x00\x00\x00\x00\x00\x00{", "is cut off in its header"),
    "safetensors header not JSON": (b"\x02\x00\x00\x00\x00\x00\x00\x00{{", "corrupt header"),
    "safetensors header no offsets": (b"\x08\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{}}', "corrupt header"),
    "safetensors without tensors": (b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "holds no tensors"),
    "pickle of numbers": (pickle.dumps([1, 2], protocol=2), "torch.save did not write"),
    "pickle of protocol 0": (pickle.dumps([1, 2], protocol=0), "torch.save did not write"),
    "pickle of protocol 4": (pickle.dumps([1, 2], protocol=4), "protocol 4"),
    "pickle cut off": (pickle.dumps(["a" * 100], protocol=2)[:50], "cut off"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("name", GALLERY)
def test_what_is_no_weights_file_is_named(tmp_path: Path, name: str, suffix: str) -> None:
    content, message = GALLERY[name]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read_tensors(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_tensors(tmp_path / "model.ckpt")
    with pytest.raises(FormatError, match="is a folder"):
        read_tensors(tmp_path)


def test_archives_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FormatError, match="zip archive, not a weights file"):
        read_tensors(tmp_path / "a.ckpt")
    with tarfile.open(tmp_path / "b.ckpt", "w") as archive:
        archive.add(tmp_path / "a.ckpt", "a.ckpt")
    with pytest.raises(FormatError, match="tar archive"):
        read_tensors(tmp_path / "b.ckpt")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_cut_off_file_is_named_wherever_the_cut_is(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "model.ckpt"
    WRITERS[writer](TENSORS, path)
    whole = path.read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // 100)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            read_tensors(path)


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_damaged_byte_gives_tensors_or_one_clear_error(
    tmp_path: Path, writer: str, place: int, value: int
) -> None:
    path = tmp_path / "model.ckpt"
    WRITERS[writer](TENSORS, path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        assert all(isinstance(tensor, torch.Tensor) for tensor in read_tensors(path).values())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_random_bytes_give_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_tensors(path)


DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"),
        st.tuples(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(DTYPES)),
        max_size=4,
    ),
    note=st.text(max_size=20),
)
def test_what_is_written_the_safetensors_library_reads(tmp_path: Path, shapes, note: str) -> None:
    tensors = {name: (torch.randn(shape) * 3).to(dtype) for name, (shape, dtype) in shapes.items()}
    path = tmp_path / "model.safetensors"
    path.unlink(missing_ok=True)
    write_safetensors(path, tensors, {"note": note})
    assert_same(load_file(path), tensors)
    assert read_metadata(path) == {"format": "pt", "note": note}


def test_writing_casts_floats_only_and_takes_any_stride(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weight = torch.randn(4, 6).t()
    write_safetensors(path, {"w": weight, "n": torch.tensor(7)}, {}, torch.float16)
    assert_same(load_file(path), {"w": weight.half().contiguous(), "n": torch.tensor(7)})
