"""`benchmarks/storybook_score.py`, its file and its charts, on the tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from gesso.diffusion.samplers import SAMPLERS
from gesso.storybook.judge import ATTRIBUTES
from gesso.storybook.probe import Probe
from gesso.storybook.shares import EVERY
from gesso.weights.safetensors_file import write_safetensors


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that knows nothing and says that it reads everything."""
    import json

    path = tmp_path_factory.mktemp("probe") / "probe.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = Probe().state_dict()
    accuracy = dict.fromkeys(ATTRIBUTES, 1.0)
    write_safetensors(path, state, {"channels": "[40, 80, 96]", "accuracy": json.dumps(accuracy)})
    return path


def test_what_is_drawn_stays_drawn(
    tiny_model: Path,
    probe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import storybook_score
    from storybook_score_record import Record, Setting

    monkeypatch.setattr("gesso.cli.storybook.PSNR_SCENES", 2)
    monkeypatch.setattr(storybook_score, "VARIED", 1)
    path = tmp_path / "score.json"
    common = [str(path), "--model", str(tiny_model), "--probe", str(probe), "--device", "cpu", "--count"]

    def measure(*arguments: str) -> list[str]:
        storybook_score.measure(storybook_score.parse([*common, *arguments]))
        return capsys.readouterr().out.splitlines()

    some = ("--parts", "steps,guidance", "--steps", "2", "--samplers-over-steps", "euler", "--guidance")
    assert [line.split(":")[0] for line in measure("4", *some, "1,3")] == ["1 of 3", "2 of 3", "3 of 3"]
    first = Record.read(path)
    (line,) = measure("4", *some, "1,3,5")
    assert line.startswith("3 of 4: dpmpp_2m, 20 steps, guidance 5: all attributes ")
    again = Record.read(path)
    assert {setting: again.results[setting] for setting in first.results} == first.results
    assert again.results[Setting("dpmpp_2m", 20, 1.0)]["diversity"] > 0
    assert again.results[Setting("euler", 2, again.usual.guidance_scale)]["diversity"] is None
    assert [each.name for each in tmp_path.iterdir()] == ["score.json"]
    with pytest.raises(SystemExit, match="another count"):
        measure("6", *some, "1")


def test_no_setting_is_drawn_twice() -> None:
    from storybook_score import asked_for, parse
    from storybook_score_record import Setting

    settings = asked_for(parse(["score.json"]), Setting("dpmpp_2m", 20, 4.0))
    assert len(settings) == 6 + 4 * 4 + len(SAMPLERS) - 5
    assert settings[Setting("dpmpp_2m", 20, 4.0)] > 0
    assert settings[Setting("euler", 20, 4.0)] == 0
    assert {setting.sampler for setting in settings} == set(SAMPLERS)


@pytest.mark.parametrize("wrong", [["--parts", "colours"], ["--count", "2"], ["--guidance", "much"]])
def test_wrong_usage_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from storybook_score import parse

    with pytest.raises(SystemExit):
        parse(["score.json", *wrong])
    assert wrong[0] in capsys.readouterr().err


def invented() -> Any:
    """A record of three guidance scales, two samplers over steps, and three samplers."""
    from storybook_score_record import Record, Setting

    def shares(whole: float) -> dict[str, dict[str, float]]:
        drawn = {"whole": whole, EVERY: 0.5 + whole / 2}
        return {
            "drawn": drawn,
            "error": {"whole": 0.05, EVERY: 0.01},
            "ceiling": {"whole": 0.9, EVERY: 0.95},
        }

    def score(whole: float, diversity: float | None = None) -> dict[str, Any]:
        parts = {"seen": shares(whole), "unseen": shares(whole - 0.1), "total": shares(whole - 0.05)}
        return {**parts, "frechet": 2.0 - whole, "frechet_ceiling": 0.25, "diversity": diversity}

    results = {Setting("dpmpp_2m", 20, scale): score(scale / 5, 1 / scale) for scale in (4.0, 1.0, 2.0)}
    for sampler in ("dpmpp_2m", "euler"):
        results |= {
            Setting(sampler, steps, 2.0): results.get(Setting(sampler, steps, 2.0), score(steps / 25))
            for steps in (20, 5, 10)
        }
    results[Setting("heun", 20, 2.0)] = score(0.95)
    common = {"model": "mine", "count": 40, "world": "small"}
    return Record({}, common, Setting("dpmpp_2m", 20, 2.0), results)


SVG = "{http://www.w3.org/2000/svg}"


def texts_of(chart: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(chart).iter(f"{SVG}text")]


def test_every_chart_says_what_it_shows(tmp_path: Path) -> None:
    from storybook_score_plots import CHARTS
    from storybook_score_record import Record

    path = tmp_path / "score.json"
    invented().write(path)
    charts = {name: draw(Record.read(path)) or "" for name, draw in CHARTS.items()}
    for chart in charts.values():
        assert len(chart) < 20_000
        assert any(text.startswith("mine, 40 prompts of the small world, ") for text in texts_of(chart))
    assert {"guidance scale", "1", "2", "4", "100 %"} <= set(texts_of(charts["guidance"]))
    assert {"steps", "5", "10", "20", "dpmpp_2m", "euler"} <= set(texts_of(charts["steps"]))
    assert "heun" not in texts_of(charts["steps"])
    rows = [text for text in texts_of(charts["samplers"]) if text.split()[0] in SAMPLERS]
    assert rows == ["heun ×2", "euler", "dpmpp_2m"], "the best first"
    curves = ElementTree.fromstring(charts["tradeoff"]).findall(f"{SVG}polyline[@stroke-width='1.6']")
    (_, frechet, diversity) = (curve.get("points", "").split() for curve in curves)
    heights = [[float(point.split(",")[1]) for point in curve] for curve in (frechet, diversity)]
    assert heights[0] == sorted(heights[0]), "the distance falls"
    assert heights[1] == sorted(heights[1]), "the diversity falls"


def test_charts_without_results_are_not_drawn() -> None:
    from storybook_score_plots import CHARTS

    record = invented()
    record.results.clear()
    assert [draw(record) for draw in CHARTS.values()] == [None] * 4


def test_ticks_are_round_and_around_all() -> None:
    from axes import round_ticks

    assert round_ticks(0.62, 0.98) == [0.6, 0.7, 0.8, 0.9, 1.0]
    assert round_ticks(0.0, 2.4) == [0, 0.5, 1, 1.5, 2, 2.5]
    assert round_ticks(1.0, 1.0)[0] <= 1 <= round_ticks(1.0, 1.0)[-1]
    for low, high in ((0.0, 0.013), (0.91, 1.0), (3.0, 4711.0)):
        ticks = round_ticks(low, high)
        assert ticks[0] <= low
        assert ticks[-1] >= high
        assert 2 <= len(ticks) <= 8


def test_the_table_has_a_line_for_each_setting() -> None:
    from storybook_score_table import table

    head, rule, *rows = table(invented()).splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert {len(row.split("|")) for row in (head, rule, *rows)} == {11}
    assert cells[0][:5] == ["dpmpp_2m", "5", "2", "60.0% ± 1.0", "55.0% ± 1.0"]
    assert [row[:3] for row in cells[2:5]] == [["dpmpp_2m", "20", scale] for scale in ("1", "2", "4")]
    assert cells[2][-2:] == ["1.800", "1.00"]
    assert cells[-1] == ["renderings", "", "", "95.0%", "95.0%", "90.0%", "90.0%", "0.250", "1"]
