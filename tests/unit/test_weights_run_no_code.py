"""Hostile pickles: whatever they name, under whatever suffix, wherever in a file, nothing of them runs."""

from __future__ import annotations

import builtins
import collections
import functools
import io
import os
import pickle
import pickletools
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

from gesso.errors import CheckpointError, UnsafePickleError
from gesso.weights.files import read_tensors

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".zip", "")


class Canary:
    """Writes a file if it is ever unpickled for real."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def canaries(egg: Path) -> dict[str, bytes]:
    """Pickles that write ``egg``, in every manner a pickle can name a function."""
    code = f"open({str(egg)!r}, 'w').close()"
    calls = {
        "posix.system": Canary(os.system, f"touch {egg}"),
        "exec": Canary(builtins.exec, code),
        "eval": Canary(builtins.eval, code),
        "Popen": Canary(subprocess.Popen, ["touch", str(egg)]),
        "getattr": Canary(getattr, egg, "touch"),
        "Path.touch": Canary(Path.touch, egg),
    }
    found = {
        f"{name} protocol {protocol}": pickle.dumps(call, protocol=protocol)
        for name, call in calls.items()
        for protocol in range(6)
        if not (name == "Path.touch" and protocol < 4)
    }
    touch = f"touch {egg}"
    found["INST"] = f"(S'{touch}'\nios\nsystem\n.".encode()
    found["OBJ"] = f"(cos\nsystem\nS'{touch}'\no.".encode()
    found["name from memo"] = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93."
    found["after a dictionary"] = (
        pickle.dumps({"state_dict": {}}, protocol=2)[:-1]
        + b"0cposix\nsystem\nX"
        + len(touch).to_bytes(4, "little")
        + touch.encode()
        + b"\x85R."
    )
    found["extension registry"] = b"\x80\x02\x82\x01."
    return found


@functools.cache
def old_file() -> tuple[bytes, list[int]]:
    """A file of torch < 1.6, and where in it each of its five pickles begins."""
    file = io.BytesIO()
    torch.save({"w": torch.ones(2)}, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    starts = []
    for _ in range(5):
        starts.append(file.tell())
        collections.deque(pickletools.genops(file), maxlen=0)
    return file.getvalue(), starts


def wrappings(payload: bytes) -> dict[str, bytes]:
    """Where in a file a hostile pickle can be: alone, in a zip, and as each pickle of an old file."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
    whole, starts = old_file()
    inside = {f"legacy {index}": whole[:start] + payload for index, start in enumerate(starts)}
    return {"alone": payload, "zip": zipped.getvalue(), **inside}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_pickle_runs_anything(tmp_path: Path, suffix: str) -> None:
    egg = tmp_path / "egg"
    path = tmp_path / f"model{suffix}"
    every = 1 if suffix == ".ckpt" else 4  # one suffix meets them all, the others a sample
    for how, payload in list(canaries(egg).items())[::every]:
        for where, content in wrappings(payload).items():
            path.write_bytes(content)
            with pytest.raises(UnsafePickleError) as caught:
                read_tensors(path)
            assert "nothing of it was run" in str(caught.value), (how, where)
            assert not egg.exists(), (how, where)


def test_decoys_do_not_hide_a_computed_name(tmp_path: Path) -> None:
    """Names fetched from the memo, after others that are allowed, in a pickle that claims protocol 2."""
    decoys = b"\x8c\x0bcollections\x8c\x0bOrderedDict00"
    payload = b"\x80\x02\x8c\x05posix\x94\x8c\x06system\x940" + decoys + b"h\x00h\x01\x93."
    assert pickle.loads(payload) is os.system
    for content in wrappings(payload).values():
        (tmp_path / "model.ckpt").write_bytes(content)
        with pytest.raises(CheckpointError, match="protocol 4"):
            read_tensors(tmp_path / "model.ckpt")


def test_the_canaries_are_alive(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    egg = tmp_path / "egg"
    for how, payload in canaries(egg).items():
        if how.startswith(("posix", "exec", "eval", "getattr", "Path", "INST", "OBJ", "after")):
            egg.unlink(missing_ok=True)
            value = pickle.loads(payload)
            if callable(value):
                value()
            assert egg.exists(), how


def test_the_refused_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"w": torch.ones(1), "evil": Canary(exec, "1")}, path)
    with pytest.raises(UnsafePickleError, match=r"wants to use builtins\.exec"):
        read_tensors(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_list_that_let_code_through_would_still_not_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second gate holds without the first."""
    egg = tmp_path / "egg"
    monkeypatch.setattr("gesso.weights.pickles.check_names", lambda *_: None)
    for payload in canaries(egg).values():
        for content in wrappings(payload).values():
            (tmp_path / "model.ckpt").write_bytes(content)
            with pytest.raises(CheckpointError):
                read_tensors(tmp_path / "model.ckpt")
            assert not egg.exists()


def test_torchscript_is_refused_as_code(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/constants.pkl", b"\x80\x02).")
    with pytest.raises(UnsafePickleError, match="TorchScript"):
        read_tensors(tmp_path / "m.pt")
