"""The axes of a grid, read from text."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.errors import GessoError
from gesso.pipeline.axis import Axis


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("sampler=euler, DPM++ 2M", "sampler", ("euler", "DPM++ 2M")),
        ("Guidance-scale=3,7.5", "guidance_scale", (3.0, 7.5)),
        ('prompt="a house, at night",a boat', "prompt", ("a house, at night", "a boat")),
        ('negative_prompt=,"say ""x"""', "negative_prompt", ("", 'say "x"')),
        ("steps=10..50..10", "steps", (10, 20, 30, 40, 50)),
        ("steps=1..3,10", "steps", (1, 2, 3, 10)),
        ("steps=9..1..3", "steps", (9, 6, 3)),
        ("steps=1..4..2", "steps", (1, 3)),
        ("strength=0.1..0.5..0.1", "strength", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("seed=18446744073709551613..18446744073709551615", "seed", tuple(range(2**64 - 3, 2**64))),
        ("hires_scale=none,2", "hires_scale", (None, 2.0)),
        ("guidance_interval=0.28..5.42", "guidance_interval", ("0.28..5.42",)),
        ("only_masked=yes,no", "only_masked", (True, False)),
        ("like=a1111,comfyui", "like", ("a1111", "comfyui")),
    ],
)
def test_an_axis_is_a_field_and_its_values(text: str, field: str, values: tuple[object, ...]) -> None:
    axis = Axis.read(text)
    assert (axis.field, axis.values, axis.search) == (field, values, None)


@given(
    st.integers(0, 999),
    st.integers(0, 999),
    st.integers(1, 99),
    st.sampled_from([1, 10, 100]),
)
def test_ranges_are_exact(start: int, stop: int, step: int, parts: int) -> None:
    ends = [repr(float(Fraction(end, parts))) for end in (start, stop, step)]
    axis = Axis.read(f"guidance_scale={'..'.join(ends)}")
    towards = 1 if stop > start else -1
    expected = range(start, stop + towards, towards * step)
    assert axis.values == tuple(number / parts for number in expected)


def test_words_are_replaced() -> None:
    axis = Axis.read('prompt:at night=at night,,"at dawn, on sand"')
    assert (axis.search, axis.values) == ("at night", ("at night", "", "at dawn, on sand"))
    fields = {"prompt": "a house at night, a boat at night", "steps": 3}
    assert axis.set(fields, 2) == {
        "prompt": "a house at dawn, on sand, a boat at dawn, on sand",
        "steps": 3,
    }
    assert axis.label(0) == "at night"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps", "'steps' gives no values"),
        ("=3", "a request has no such field"),
        ("stepz=3", "stepz: a request has no such field. Did you mean steps?"),
        ("steps=", "steps: '' is not a whole number"),
        ("steps=1,,2", "steps: '' is not a whole number"),
        ("steps=1-5", "steps: '1-5' is not a whole number. Write 10,20,30, or a range: 10..50..10."),
        ("steps=1..2..3..4", "steps: '1..2..3..4' is no range"),
        ("steps=1..5..0", "steps: '1..5..0' is a range by 0"),
        ("steps=1..5..-1", "steps: '1..5..-1' is a range by -1"),
        ("steps=1..", "steps: '' is not a whole number"),
        ("steps=1.5..3", "steps: '1.5' is not a whole number"),
        ("eta=0..inf", "eta: '0..inf' is no range"),
        ("eta=0..1..1e-9", "eta: '0..1..1e-9' has more than 10,000 values"),
        ("eta=0..1..1e-999999999", "eta: '0..1..1e-999999999' is a range by 1e-999999999"),
        ("seed=none..3", "seed: 'none..3' is no range"),
        ("seed=0..999999999999", "seed: '0..999999999999' has more than 10,000 values"),
        ("count=1,2", "count: a cell of a grid is one picture"),
        ("sampler:a=b", "sampler: only words of a prompt can be replaced"),
        ("prompt:=b", "prompt: only words of a prompt can be replaced"),
        ('prompt="a"b', "prompt: its values cannot be told apart"),
        ("image=nowhere.png", "nowhere.png: cannot be read"),
    ],
)
def test_what_is_no_axis_is_refused(text: str, message: str) -> None:
    with pytest.raises(GessoError) as caught:
        Axis.read(text)
    assert message in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_an_axis_or_refused(text: str) -> None:
    with suppress(GessoError):
        assert Axis.read(text).values
