"""``gesso batch``: what it draws of a file, what it draws again, and what it refuses."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gesso.errors import NumericsError
from gesso.pipeline.metadata import read_request
from gesso.pipeline.pipeline import Pipeline

Run = Callable[..., Any]


def pictures(folder: str | Path = "outputs") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).rglob("*.png"))}


def fields(name: str, folder: str = "outputs/p") -> dict[str, Any]:
    return read_request(Path(folder, name)).fields


@pytest.fixture
def batch(gesso: Run, tiny_model: Path) -> Run:
    """Draw a file of the given text with the tiny model, in one step, with whatever options."""

    def call(text: str | bytes, *options: str, name: str = "p.txt") -> Any:
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        return gesso("batch", name, "--model", tiny_model, "--device", "cpu", "--steps", "1", *options)

    return call


def test_it_draws_every_line(batch: Run) -> None:
    ended = batch("# two\na red house\n\na pine tree\n", "--seed", "7")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split() == ["outputs/p/00001-7.png", "outputs/p/00002-7.png"]
    assert fields("00002-7.png")["prompt"] == "a pine tree"


def test_options_hold_where_a_line_says_nothing(batch: Run) -> None:
    table = "prompt,steps,seed,width\na house,2,,\na tree,,9,72\n"
    batch(table, "--seed", "3", "--sampler", "heun", name="p.csv")
    house, tree = fields("00001-3.png"), fields("00002-9.png")
    assert (house["steps"], house["width"], house["sampler"]) == (2, 64, "heun")
    assert (tree["steps"], tree["width"], tree["sampler"]) == (1, 72, "heun")


def test_objects_are_requests(batch: Run) -> None:
    lines = '{"prompt": "a house", "seed": 4, "count": 3, "batch_size": 2}\n{"prompt": "", "seed": 5}\n'
    ended = batch(lines, "-o", "new/folder", name="p.jsonl")
    assert ended.out.split() == [
        *(f"new/folder/00001-{seed}.png" for seed in (4, 5, 6)),
        "new/folder/00002-5.png",
    ]


def test_standard_input_is_a_file_too(
    gesso: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b'{"prompt": "a house", "seed": 1, "steps": 1}'))
    monkeypatch.setattr(sys, "stdin", stdin)
    ended = gesso("batch", "-", "--format", "jsonl", "--model", tiny_model)
    assert ended.out == "outputs/batch/00001-1.png\n"


# Again


def test_what_is_there_is_not_drawn_again(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    batch("a house\na tree\n")
    first = pictures()
    monkeypatch.setattr(Pipeline, "stream", None)
    ended = batch("a house\na tree\n")
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == "gesso: p.txt: 2 of 2 requests are drawn already\n"
    assert pictures() == first


def test_a_picture_that_is_gone_comes_back(batch: Run) -> None:
    batch("a house\na tree\n", "--count", "2", "--variation-strength", "0.5")
    first = pictures()
    gone = sorted(first)[2]
    Path("outputs/p", gone).unlink()
    ended = batch("a house\na tree\n", "--count", "2", "--variation-strength", "0.5")
    assert ended.out == f"outputs/p/{gone}\n"
    assert pictures() == first


def test_lines_are_known_by_what_they_ask_for(batch: Run) -> None:
    batch("a house\na tree\n")
    first = pictures()
    ended = batch("a boat\na tree\na kite\na house\n")
    assert [Path(path).name[:5] for path in ended.out.split()] == ["00003", "00004"]
    assert first.items() <= pictures().items()


def test_more_pictures_keep_those_there_are(batch: Run) -> None:
    batch("a house\n", "--seed", "7")
    ended = batch("a house\n", "--seed", "7", "--count", "3", "--batch-size", "3")
    assert ended.out.split() == ["outputs/p/00001-8.png", "outputs/p/00001-9.png"]


def test_other_options_are_other_pictures(batch: Run) -> None:
    batch("a house\n")
    ended = batch("a house\n", "--sampler", "heun")
    assert ended.out.startswith("outputs/p/00002-")


def test_the_same_line_twice_is_two_pictures(batch: Run) -> None:
    batch("a house\na house\n")
    first = pictures()
    assert len(first) == 2
    assert len(set(first.values())) == 2
    assert batch("a house\na house\na house\n").out.count("\n") == 1


def test_an_interrupted_batch_goes_on_with_its_seeds(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, calls = Pipeline.finish, iter((False, True))

    def interrupted(*arguments: Any) -> Any:
        if next(calls):
            raise KeyboardInterrupt
        return finish(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "finish", interrupted)
        assert batch("a house\na tree\na boat\n").status == 130
    (name,) = pictures()
    ledger = Path("outputs/p/batch.jsonl")
    seeds = [json.loads(line)["seed"] for line in ledger.read_text().splitlines()]
    with ledger.open("a") as file:
        file.write('{"key": "cut sh')
    assert batch("a house\na tree\na boat\n").status == 0
    assert sorted(pictures()) == [f"0000{i}-{seed}.png" for i, seed in enumerate(seeds, 1)]
    assert name in pictures()
    assert len(ledger.read_text().splitlines()) == 3


def test_a_damaged_ledger_is_refused(batch: Run) -> None:
    batch("a house\n")
    Path("outputs/p/batch.jsonl").write_text('{"key": 1}\n')
    assert "outputs/p/batch.jsonl:1: it is damaged" in batch("a house\n").refused()


def test_a_folder_is_drawn_into_by_one_batch_at_a_time(batch: Run) -> None:
    fcntl = pytest.importorskip("fcntl")
    batch("a house\n")
    with Path("outputs/p/batch.jsonl").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another batch is drawing into this folder" in batch("a tree\n").refused()


# What goes wrong


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("prompt,sampler\na,\nb,eulr\n", "p.csv", 'p.csv:3: sampler: no sampler is called "eulr"'),
        ("prompt,samplr\na,euler\n", "p.csv", "p.csv:1: samplr: a request has no such field"),
        ('{"prompt": "a"}\n{"promt": "b"}', "p.jsonl", "p.jsonl:2: promt: a request has no such field"),
        ('{"prompt": "a"}\n{"prompt": "b", "image": "no.png"}', "p.jsonl", "p.jsonl:2: no.png: cannot be"),
        (
            '{"prompt": "a"}\n{"prompt": "b", "clip_skip": 3}',
            "p.jsonl",
            "p.jsonl:2: clip_skip: 3 is outside",
        ),
        (b"\xff\xfea\0", "p.txt", "p.txt: it is in UTF-16"),
        ("a", "p.doc", "p.doc: .doc does not say how it is written"),
    ],
)
def test_nothing_is_drawn_if_a_line_cannot_be(
    batch: Run, text: str | bytes, name: str, message: str
) -> None:
    ended = batch(text, name=name)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"gesso: {message}")
    assert not Path("outputs").exists()


def test_all_lines_that_cannot_be_drawn_are_named(batch: Run) -> None:
    ended = batch("prompt,steps\na,0\nb,1\nc,few\n", name="p.csv")
    first, second, last = ended.err.splitlines()
    assert first.startswith("gesso: p.csv:2: steps: 0 is outside 1…1000")
    assert second.startswith("gesso: p.csv:4: steps: 'few' is not a whole number")
    assert last == "gesso: p.csv: 2 lines cannot be drawn, so none was."


@pytest.mark.parametrize("output", ["a.png", "", "p.txt/x"])
def test_the_pictures_need_a_folder(batch: Run, output: str) -> None:
    batch("a house\n", "--output", output).refused()


def test_a_file_that_is_not_there(gesso: Run) -> None:
    assert (
        gesso("batch", "p.txt").refused() == "gesso: p.txt: it cannot be read (No such file or directory)."
    )


def test_a_request_that_fails_leaves_the_others(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, calls = Pipeline.finish, iter((True, False, True, False))

    def failing(*arguments: Any) -> Any:
        if next(calls):
            raise NumericsError("latents are not finite")
        return finish(*arguments)

    monkeypatch.setattr(Pipeline, "finish", failing)
    ended = batch("a house\na tree\n", "--seed", "7", "--json")
    assert ended.status == 1
    assert ended.err.splitlines() == [
        "gesso: p.txt:1: latents are not finite.",
        "gesso: p.txt: 1 of 2 requests could not be drawn. The same command tries them again.",
    ]
    house, tree = json.loads(ended.out)["requests"]
    assert house == {
        "line": 1,
        "prompt": "a house",
        "error": "latents are not finite.",
        "pictures": [],
    }
    assert tree["pictures"] == [{"path": "outputs/p/00002-7.png", "seed": 7, "drawn": True}]
