"""The prompt language on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gesso.pipeline.metadata import read_request

Run = Callable[..., Any]


def test_a_picture_says_how_its_prompt_was_read(gesso: Run, here: Path, tiny_model: Path) -> None:
    prompt = "a (red:1.3) [house:boat:0.5] AND [a|b] :0.5"
    first = gesso(
        prompt,
        "-m",
        tiny_model,
        "-s",
        "1",
        "--steps",
        "2",
        "--emphasis",
        "comfy",
        "--comma-backtrack",
        "20",
    )
    assert first.status == 0, first
    path = here / first.out.strip()
    fields = read_request(path).fields
    assert (fields["prompt"], fields["emphasis"], fields["comma_backtrack"]) == (prompt, "comfy", 20)
    assert "Emphasis: comfy" in Image.open(path).info["parameters"]
    again = gesso("--from", path, "-m", tiny_model)
    assert Image.open(here / again.out.strip()).tobytes() == Image.open(path).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a (cat:nan)"], "prompt: the weight nan is not a finite number at character 8."),
        (["a", "-n", "[a:b:inf]"], "negative_prompt: the step inf is not a finite number at character 6."),
        (
            ["a <lora:ink:0.5>"],
            "prompt: LoRAs are not supported yet, and it asks for <lora:ink:0.5> at character 3.",
        ),
        (["a", "--emphasis", "compl"], 'emphasis: no emphasis is called "compl". Did you mean "compel"?'),
        (["a", "--comma-backtrack", "99"], "comma_backtrack: 99 is outside 0…75"),
    ],
)
def test_what_cannot_be_read_is_refused(gesso: Run, here: Path, arguments: list[str], message: str) -> None:
    assert message in gesso(*arguments).refused()
    assert not list(here.iterdir())
