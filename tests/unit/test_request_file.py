"""Files of requests: what they say, and how they are refused."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.errors import RequestError
from gesso.pipeline.field_text import field_name, value_of
from gesso.pipeline.request_file import MAX_BYTES, MAX_LINE, MAX_LINES, FileLine, read_requests

LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
PROMPTS = st.text(LETTERS, min_size=1).filter(lambda text: text.strip() == text)


def read(data: str | bytes, form: str = "txt") -> list[FileLine]:
    return read_requests(io.BytesIO(data.encode() if isinstance(data, str) else data), "a file", form)


def refused(data: str | bytes, form: str = "txt") -> str:
    with pytest.raises(RequestError) as caught:
        _ = [line.over({}) for line in read(data, form)]
    return str(caught.value)


def test_a_line_is_a_prompt() -> None:
    lines = read("# scenes\n\na red house\r\n  \n  a boat, [a|b]\ra kite\n")
    assert lines == [
        FileLine(3, {"prompt": "a red house"}),
        FileLine(5, {"prompt": "  a boat, [a|b]"}),
        FileLine(6, {"prompt": "a kite"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_prompt() -> None:
    assert read("\ufeffa red house")[0].fields == {"prompt": "a red house"}


def test_line_separators_of_unicode_end_no_line() -> None:
    assert [line.fields["prompt"] for line in read("a\u2028b\x0bc\x85d")] == ["a\u2028b\x0bc\x85d"]


@given(st.lists(PROMPTS, min_size=1), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_a_table_comes_back_as_it_was_written(prompts: list[str], delimiter: str, end: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([["prompt", "steps", "seed"], *([prompt, 7, ""] for prompt in prompts)])
    lines = read(text.getvalue(), "csv")
    assert [line.over({"seed": 5}) for line in lines] == [
        {"prompt": prompt, "steps": 7, "seed": 5} for prompt in prompts
    ]


@given(st.lists(st.dictionaries(st.text(LETTERS), st.text(LETTERS) | st.integers()), min_size=1))
def test_objects_come_back_as_they_were_written(objects: list[dict[str, object]]) -> None:
    text = "\n\n".join(json.dumps(each) for each in objects)
    assert [line.fields for line in read(text, "jsonl")] == objects


def test_cells_may_have_lines_of_their_own() -> None:
    first, second = read('prompt\n"a red house\non grass"\na boat\n', "csv")
    assert (first.number, first.fields) == (3, {"prompt": "a red house\non grass"})
    assert (second.number, second.fields) == (4, {"prompt": "a boat"})


def test_columns_are_named_as_people_name_them() -> None:
    (line,) = read("Prompt,Guidance scale,only-masked\na house,3.5,yes\n", "csv")
    assert line.over({}) == {"prompt": "a house", "guidance_scale": 3.5, "only_masked": True}


@pytest.mark.parametrize(
    ("data", "form", "message"),
    [
        ("", "txt", "a file: it has no requests"),
        ("# only\n", "txt", "a file: it has no requests"),
        ("a red house".encode("utf-16"), "txt", "a file: it is in UTF-16. Save it as UTF-8."),
        (b"\x89PNG\r\n\x1a\n\0\0", "txt", "a file: it is no text"),
        (b"a house\nun ch\xe2teau\n", "txt", "a file:2: it is not in UTF-8"),
        ("a\n--prompt b --steps 3", "txt", "a file:2: --prompt is an option"),
        ("a\n" * (MAX_LINES + 1), "txt", "a file: it has more than 100,000 lines"),
        (b"a" * (MAX_BYTES + 1), "txt", "a file: it has more than 67,108,864 bytes"),
        ("a\n" + "b" * (MAX_LINE + 1), "txt", "a file:2: 524,289 characters are more than"),
        ('{"prompt": "a"}\n{"prompt"', "jsonl", "a file:2: it is no JSON"),
        ("[1]", "jsonl", "a file:1: a request is a JSON object, not list"),
        ("[" * 100_000, "jsonl", "a file:1: it is no JSON"),
        ('{"seed": 1, "seed": 2}', "jsonl", 'a file:1: "seed" is there twice'),
        ('{"seed": ' + "1" * 5000 + "}", "jsonl", "a file:1: it is no JSON"),
        ("prompt,stps\na,3", "csv", "a file:1: stps: a request has no such field. Did you mean steps?"),
        ("steps\n3", "csv", "a file:1: prompt: there is no such column"),
        ("prompt,Prompt\na,b", "csv", "a file:1: prompt: there are two such columns"),
        ("prompt,steps\na, b,3", "csv", "a file:2: 3 cells are more than the 2 columns"),
        ('prompt\n"a" b', "csv", "a file:2: it is no CSV"),
        ('prompt\n"a', "csv", "a file:2: it is no CSV"),
        ("prompt,steps\n\na,few", "csv", "steps: 'few' is not a whole number"),
    ],
)
def test_what_cannot_be_read_is_refused(data: str | bytes, form: str, message: str) -> None:
    assert refused(data, form).startswith(message)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", " 30 ", 30),
        ("guidance_scale", "7", 7.0),
        ("schedule", "None", None),
        ("seed", "none", None),
        ("only_masked", "No", False),
        ("emphasis", "none", "none"),
        ("prompt", "1", "1"),
        ("guidance_interval", "0.28,5.42", "0.28,5.42"),
    ],
)
def test_text_has_the_kind_of_its_field(name: str, text: str, value: object) -> None:
    assert value_of(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("steps", "1.5"), ("steps", "9" * 5000), ("strength", "half"), ("only_masked", "si")]
)
def test_text_of_another_kind_is_refused(name: str, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        value_of(name, text)
    assert caught.value.where == name
    assert len(str(caught.value)) < 200


def test_fields_are_found_by_what_people_call_them() -> None:
    assert field_name(" Clip-skip ") == "clip_skip"
    with pytest.raises(RequestError, match="no such field"):
        field_name("version")
