"""``gesso inspect`` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from gesso.cli.inspect import inspect
from gesso.cli.main import run


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(inspect, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_built_in_model_is_the_default() -> None:
    result = invoke()
    assert result.exit_code == 0
    assert result.stdout.startswith("storybook: Stable Diffusion 1.x, text to image, predicts v")
    assert result.stdout == invoke("storybook").stdout
    assert result.stderr == ""


def test_presets_need_no_weights() -> None:
    lines = invoke("sd15").stdout.splitlines()
    assert "image 512×512, UNet input 4×64×64, context 77×768" in lines
    [unet] = [line.split() for line in lines if "a step of one sample" in line]
    assert unet[:7] == ["UNet", "859,520,964", "3.44", "GB", "1.72", "GB", "401.64"]


def test_size_is_width_by_height() -> None:
    assert "image 96×32, UNet input 4×4×12" in invoke("--size", "96x32").stdout
    assert invoke("--size", "96").exit_code == 2


def test_checkpoints_are_read(tiny_model: Path) -> None:
    text = invoke(tiny_model).stdout
    assert f"diffusers layout, float32: {tiny_model}" in text
    assert "image 64×64, UNet input 4×8×8, context 77×16" in text


def test_json_is_one_object_with_every_block(tiny_model: Path) -> None:
    data = json.loads(invoke(tiny_model, "--json").stdout)
    assert data["layout"] == "diffusers"
    assert data["config"]["unet"]["block_channels"] == [16, 32]
    assert sum(block["parameters"] for block in data["unet"]["blocks"]) == data["unet"]["parameters"]


def test_the_figure_is_written_and_the_report_still_printed(tmp_path: Path) -> None:
    figure = tmp_path / "unet.svg"
    result = invoke("--figure", figure)
    assert ElementTree.parse(figure).getroot().tag.endswith("svg")
    assert result.stdout.startswith("storybook")
    assert str(figure) in result.stderr
    assert list(tmp_path.iterdir()) == [figure]


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "unet.svg"
    figure.write_text("mine")
    assert run(["inspect", "--figure", str(figure)]) == 1
    assert figure.read_text() == "mine"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"gesso: {figure}: ")


def test_a_figure_that_cannot_be_written_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(["inspect", "--figure", str(tmp_path / "file" / "unet.svg")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("nothing.ckpt",), ("--size", "7x64"), ("--size", "0x0"), ("--size", "99999x8")]
)
def test_bad_input_is_one_clear_line(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
