"""How kernels are kept on disk, and that two threads can run them at once."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from numba.core import config as numba_config

import gesso.engine.cpu
from gesso.engine.cpu import attention, group_norm, jit, kernel_cache
from gesso.engine.cpu.kernel_cache import KernelCache, fingerprint

FOLDER = Path(gesso.engine.cpu.__file__).parent
KERNELS = sorted(path.stem for path in FOLDER.glob("*.py") if "\n@kernel\n" in path.read_text())


def change(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    """Let a module's source be another from now on."""
    original = kernel_cache.source
    suffix = {f"gesso.engine.cpu.{changed}": "# a comment"}
    monkeypatch.setattr(kernel_cache, "source", lambda name: original(name) + suffix.get(name, ""))


# What is kept on disk


@pytest.mark.parametrize("changed", ["attention", "attention_tiles", "vectors", "jit"])
def test_every_source_of_a_kernel_counts(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(attention.__name__)
    assert fingerprint(attention.__name__) == before
    change(monkeypatch, changed)
    assert fingerprint(attention.__name__) != before


def test_no_other_source_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(group_norm.__name__)
    change(monkeypatch, "attention_tiles")
    assert fingerprint(group_norm.__name__) == before


@pytest.mark.parametrize("name", KERNELS)
def test_no_import_is_overlooked(name: str) -> None:
    """What a kernel's file takes from gesso, as Python's own parser sees it."""
    source = kernel_cache.source(f"gesso.engine.cpu.{name}")
    imported: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            imported.append(node.module or "")
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
    ours = {each for each in imported if each.split(".")[0] == "gesso"}
    assert ours == set(kernel_cache.IMPORT.findall(source))
    for each in ours:
        import_module(each)  # a module, not a package from which one is taken


def test_what_older_sources_left_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_config, "CACHE_DIR", str(tmp_path))
    kept = KernelCache(attention._rows)
    Path(kept.cache_path).mkdir(parents=True, exist_ok=True)
    assert tmp_path in Path(kept.cache_path).parents
    kept._cache_file.save("signature", "machine code")
    assert KernelCache(attention._rows)._cache_file.load("signature") == "machine code"
    change(monkeypatch, "vectors")
    assert KernelCache(attention._rows)._cache_file.load("signature") is None


def test_kernels_are_kept_so(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(jit, "KernelCache", kept.append)

    def function() -> None:
        pass

    jit.kernel(function)
    assert kept == [function]


# Threads


def test_two_threads_run_kernels_at_once() -> None:
    """Numba's own pool, left to itself, ends the process. In one of its own: a pool is chosen once."""
    script = (
        "import threading, torch\n"
        "from gesso.engine.cpu.group_norm import group_norm_silu\n"
        "def work():\n"
        "    for _ in range(50): group_norm_silu(x, 4, ones, ones, 1e-5)\n"
        "x, ones = torch.randn(2, 64, 64, 64), torch.ones(64)\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "for each in threads: each.start()\n"
        "for each in threads: each.join()\n"
        "print('done')\n"
    )
    environment = os.environ | {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr
