"""The benchmarks, as far as they can be wrong without a clock: weights, agreement, turns and tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from gesso.engine.optimisations import OPTIMISATIONS


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmarks' model, in small."""
    import sd15_weights

    folder = tmp_path_factory.mktemp("weights") / "small"
    sd15_weights.write(
        folder,
        channels=(32, 32, 64, 64),
        image_channels=(32, 32, 32, 64),
        layers=1,
        text_width=64,
        text_layers=1,
    )
    assert [path.name for path in folder.parent.iterdir()] == ["small"], "something unfinished is left"
    return folder


def test_the_contenders_agree(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import contenders
    import torch

    with torch.no_grad():
        diffusers, gesso = (contenders.load(name, weights, 64) for name in ("diffusers", "gesso:plain"))
        for part, expected_shape in (("step", (2, 4, 8, 8)), ("decode", (1, 3, 64, 64))):
            expected, found = getattr(diffusers, part)(), getattr(gesso, part)()
            assert expected.shape == expected_shape
            np.testing.assert_allclose(found, expected, atol=1e-4)
            assert 0.1 < expected.std() < 4, "outputs of another size than a real model's prove little"
        expected, found = diffusers.picture(2), gesso.picture(2)
    assert expected.std() > 5
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)


def test_workers_compute_in_turns_and_are_checked(weights: Path) -> None:
    from contest import compete

    engine = "gesso:cached-context,shared-prefix"
    standings = compete({"plain": "gesso:plain", "gesso": engine}, weights, 64, ["step", "picture"], 2, 1)
    for standing in standings.values():
        assert {part: len(times.later) for part, times in standing.times.items()} == {
            "step": 2,
            "picture": 2,
        }
        assert standing.peak_memory > 50e6
        assert standing.load_seconds > 0


def test_a_worker_that_dies_ends_the_benchmark(tmp_path: Path) -> None:
    from worker import Worker

    with pytest.raises(SystemExit, match="gesso:plain ended with status 1"):
        Worker("gesso:plain", tmp_path / "nothing", 64)


@pytest.mark.parametrize("part", ["step", "decode", "picture"])
def test_results_that_differ_are_refused(part: str) -> None:
    from contest import check_agreement

    rng = np.random.default_rng(0)
    expected = rng.normal(size=(1, 3, 8, 8)) * 60
    check_agreement(part, {"theirs": expected, "ours": expected + 1e-2 * rng.normal(size=expected.shape)})
    broken = expected.copy()
    broken[0, 0, 0, 0] = np.nan
    for wrong in (expected + 3 * rng.normal(size=expected.shape), broken, expected[..., :4]):
        with pytest.raises(SystemExit, match="No ratio"):
            check_agreement(part, {"theirs": expected, "ours": wrong})


def test_a_table_says_what_share_gesso_takes() -> None:
    from contest import Standing
    from cpu import rows

    standings = {
        "diffusers": Standing(9.0, {"step": times(20.0, 16.0, 15.0, 19.0)}),
        "gesso": Standing(3.0, {"step": times(12.0, 9.0, 8.0, 8.0)}),
    }
    diffusers, gesso = rows("step", standings)
    assert diffusers[1:6] == ("diffusers", "16.00 s (15.00…19.00)", "3 of 3", "0.50 of it", "≤ 0.55")
    assert gesso[1:6] == ("gesso", "8.00 s (8.00…9.00)", "3 of 3", "", "")


def times(first: float, *later: float) -> Any:
    from contest import Times
    from worker import Call

    return Times(Call(first, 0.0), [Call(seconds, 0.0) for seconds in later])


def test_disturbed_calls_count_only_if_there_are_no_others() -> None:
    from worker import Call

    mixed = times(9.0, 5.0, 6.0)
    mixed.later.append(Call(30.0, 0.4))
    assert (mixed.median, mixed.calls) == (5.5, "2 of 3")
    disturbed = times(9.0)
    disturbed.later += [Call(30.0, 0.4), Call(20.0, 0.2)]
    assert (disturbed.median, disturbed.calls) == (25.0, "all 2 disturbed")


def test_other_processes_are_noticed() -> None:
    from disturbance import STAT, Disturbance

    if not STAT.exists():
        pytest.skip("the system does not say what others take")
    others = Disturbance()
    subprocess.run([sys.executable, "-c", "sum(range(60_000_000))"], check=True)
    share = others.share()
    assert 0.5 / (os.cpu_count() or 1) < share <= 1


def test_every_optimisation_is_left_out_once() -> None:
    from cpu import ablations

    left_out: list[str] = []
    for whole, (name, specification) in (pair.items() for pair in ablations(["all"])):
        assert whole == ("gesso", "gesso")
        left_out.append(name.removeprefix("without "))
        assert left_out[-1] not in specification.removeprefix("gesso:").split(",")
    assert left_out == [name for name, each in OPTIMISATIONS.items() if "cpu" in each.devices]
    with pytest.raises(SystemExit, match="no such optimisation: haste"):
        ablations(["haste"])


def test_startup_compares_what_was_timed() -> None:
    from startup import Start, rows

    waited_for = {
        "import torch": Start([]),
        "built-in": Start([], beside=("beyond", "import torch"), target=1.5),
        "gesso": Start([], beside=("of", "import torch"), target=0.4),
    }
    seconds = {"import torch": [2.0, 4.0, 3.0], "built-in": [4.0], "gesso": [1.5]}
    assert [(line[2], line[3]) for line in rows(waited_for, seconds)] == [
        ("", ""),
        ("1.00 s beyond import torch", "≤ 1.5 s"),
        ("0.50 of import torch", "≤ 0.4"),
    ]


def test_results_are_written_with_their_machine(tmp_path: Path) -> None:
    from report import write_json

    write_json(tmp_path / "out.json", "cpu", {"size": 64}, {"gesso": [1.0]})
    written: dict[str, Any] = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["results"] == {"gesso": [1.0]}
    assert written["machine"]["versions"].keys() >= {"torch", "gesso"}


def test_the_chart_has_a_bar_for_each_time() -> None:
    from chart import draw
    from contest import Standing

    standings = {
        "diffusers": Standing(9.0, {"step": times(20.0, 16.0), "decode": times(30.0, 25.0)}),
        "gesso": Standing(3.0, {"step": times(12.0, 8.0), "decode": times(10.0, 7.5)}),
    }
    record = {
        "machine": {"processor": "abacus", "cores": 2},
        "settings": {"size": 512},
        "results": [{name: standing.to_json() for name, standing in standings.items()}],
    }
    root = ElementTree.fromstring(draw(record))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text and text.endswith(" s")] == [
        "8.0 s",
        "16.0 s",
        "7.5 s",
        "25.0 s",
    ]
    bars = root.findall("{http://www.w3.org/2000/svg}rect")[1:]  # the first one is the ground
    ours, theirs = (float(bar.get("width", "")) for bar in bars[:2])
    assert ours == pytest.approx(theirs / 2, abs=0.1)
