"""The prompt language: AUTOMATIC1111's documented cases, errors with their place, and any text at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gesso.errors import PromptError
from gesso.text.lexer import escape
from gesso.text.prompt import Lora, Prompt, literal_prompt, parse_prompt
from gesso.text.weighing import Span, Text

ALPHABET = st.sampled_from([*"()[]:|\\<>aA1.5 -\n", "AND", "BREAK", "<lora:", "nan", "[a:b:", "[a|", "日"])
TANGLES = st.lists(ALPHABET, max_size=60).map("".join)


def spans(prompt: str) -> list[tuple[str, float]]:
    """What a prompt without choices, AND and BREAK weighs."""
    ((section,),) = parse_prompt(prompt).at(1, 1)
    return [(span.text, span.weight) for span in section]


def plain(text: Text) -> str:
    return " BREAK ".join("".join(span.text for span in section) for section in text)


def said(prompt: str, steps: int = 10) -> list[tuple[int, str]]:
    """Up to and including which step a prompt says what, weights left out."""
    texts = [plain(text) for (text,) in parse_prompt(prompt).over(steps)]
    return [(i + 1, text) for i, text in enumerate(texts) if i + 1 == steps or texts[i + 1] != text]


# Weights


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("normal text", [("normal text", 1)]),
        ("", []),
        ("an (important) word", [("an ", 1), ("important", 1.1), (" word", 1)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
    ],
)
def test_automatic1111s_documented_weights(prompt: str, expected: list[tuple[str, float]]) -> None:
    """The cases in its ``parse_prompt_attention``."""
    found = spans(prompt)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected])


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("[b]", [("b", 1 / 1.1)]),
        ("([b])", [("b", 1)]),
        ("((a:1.5):2)", [("a", 3)]),
        ("(a:-1)(b:.5)(c:+2.)(d:1e-1)", [("a", -1), ("b", 0.5), ("c", 2), ("d", 0.1)]),
        ("(a: 2 )", [("a", 2)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 1 / 1.1)]),
        ("a) b] c", [("a) b] c", 1)]),
        ("ratio 4:3 | 16:9", [("ratio 4:3 | 16:9", 1)]),
        ("(4:3:1.2)", [("4:3", 1.2)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:1.2", [("a:1.2", 1.1)]),
        ("[a:1.2", [("a:1.2", 1 / 1.1)]),
        ("a:1.2)", [("a:1.2)", 1)]),
        (r"(a\:1.2)", [("a:1.2", 1.1)]),
        (r"back\\slash \n", [(r"back\slash n", 1)]),
        ("end\\", [("end\\", 1)]),
        ("()", []),
        ("<3 <b> <lora", [("<3 <b> <lora", 1)]),
        ("BRAND ANDROID bread and butter", [("BRAND ANDROID bread and butter", 1)]),
    ],
)
def test_weights(prompt: str, expected: list[tuple[str, float]]) -> None:
    found = spans(prompt)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected])


# Steps


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("test", [(10, "test")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3]", [(3, "a "), (10, "a b")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a b")]),
        ("[(a:2):3]", [(3, ""), (10, "a")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [unbalanced", [(10, "a unbalanced")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [{b|d{:.5] c", [(5, "a  c"), (10, "a {b|d{ c")]),
        ("((a][:b:c [d:3]", [(3, "a]:b:c "), (10, "a]:b:c d")]),
        ("[a|(b:1.1)]", [(step, "ba"[step % 2]) for step in range(1, 11)]),
        ("[fe|]male", [(step, "female" if step % 2 else "male") for step in range(1, 11)]),
        (
            "[fe|||]male",
            [(1, "female"), (4, "male"), (5, "female"), (8, "male"), (9, "female"), (10, "male")],
        ),
    ],
)
def test_automatic1111s_documented_schedules(prompt: str, expected: list[tuple[int, str]]) -> None:
    """The cases in its ``get_learned_conditioning_prompt_schedules``, without what weighs."""
    assert said(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "steps", "expected"),
    [
        ("[cat:dog:0.25]", 20, [(5, "cat"), (20, "dog")]),
        ("[cat:dog:0.5]", 3, [(1, "cat"), (3, "dog")]),
        ("[cat:dog:5]", 4, [(4, "cat")]),
        ("[cat:dog:0]", 4, [(4, "dog")]),
        ("[cat:dog:-3]", 4, [(4, "dog")]),
        ("[cat:dog:1]", 4, [(1, "cat"), (4, "dog")]),
        ("[cat:dog:1.0]", 4, [(4, "cat")]),
        ("[cat::2]", 4, [(2, "cat"), (4, "")]),
        ("[::2]", 4, [(4, "")]),
        ("[a:b:c:2]", 4, [(4, "a:b:c:2")]),
        ("[a:b]", 4, [(4, "a:b")]),
        ("[a:b|c]", 4, [(4, "a:b|c")]),
        (r"[a\:b:2]", 4, [(2, ""), (4, "a:b")]),
        (r"[a\|b|c]", 2, [(1, "a|b"), (2, "c")]),
        ("[a :( b:c:2]", 4, [(4, "a : b:c:2")]),
        ("[(a:b:2]", 4, [(2, "a"), (4, "b")]),
        ("[a|b|c]", 5, [(1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "b")]),
        ("[x [a|b]:y:2]", 4, [(1, "x a"), (2, "x b"), (4, "y")]),
        ("a [BREAK b:c:1]", 2, [(1, "a  BREAK  b"), (2, "a c")]),
    ],
)
def test_schedules(prompt: str, steps: int, expected: list[tuple[int, str]]) -> None:
    assert said(prompt, steps) == expected


def test_a_weight_may_be_scheduled() -> None:
    texts = parse_prompt("(cat:[1:1.5:0.5])").over(4)
    assert [text[0][0] for (text,) in texts] == [Span("cat", 1.0)] * 2 + [Span("cat", 1.5)] * 2


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a [b:.5] c", [(10, "a b c")]),
        ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
        ("[b:13]", [(3, ""), (10, "b")]),
    ],
)
def test_a_second_pass_goes_on_with_the_schedule(prompt: str, expected: list[tuple[int, str]]) -> None:
    """AUTOMATIC1111's documented cases for ten steps of hires fix after ten steps."""
    texts = [plain(text) for (text,) in parse_prompt(prompt).over(10, before=10)]
    assert [(last, texts[last - 1]) for last, _ in expected] == expected
    assert texts.count(texts[-1]) == 10 - (expected[-2][0] if len(expected) > 1 else 0)


def test_what_stays_is_the_same_object() -> None:
    texts = parse_prompt("[a|b] [c:d:3]").over(6)
    assert texts[0] is texts[2]
    assert texts[1] is not texts[3]
    assert texts[3] is texts[5]


# AND, BREAK, LoRAs


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a AND b", [("a ", 1), (" b", 1)]),
        ("a AND b :0.5", [("a ", 1), (" b ", 0.5)]),
        ("a:2 AND b:-1 AND (c:1.2)", [("a", 2), (" b", -1), (" c", 1)]),
        ("a:2", [("a:2", 1)]),
        (r"a \AND b", [("a AND b", 1)]),
        ("AND", [("", 1), ("", 1)]),
        ("sand AND ANDes", [("sand ", 1), (" ANDes", 1)]),
    ],
)
def test_and(prompt: str, expected: list[tuple[str, float]]) -> None:
    read = parse_prompt(prompt)
    assert [*zip(map(plain, read.at(1, 1)), read.weights, strict=True)] == expected


def test_brackets_do_not_reach_past_and() -> None:
    assert parse_prompt("(a AND b)").at(1, 1) == (((Span("a ", 1.1),),), ((Span(" b)", 1.0),),))


def test_break_ends_a_section_wherever_it_stands() -> None:
    (text,) = parse_prompt("a (b BREAK c:2) d").at(1, 1)
    assert text == ((Span("a "), Span("b ", 2.0)), (Span(" c", 2.0), Span(" d")))


@pytest.mark.parametrize(
    ("prompt", "sections"),
    [("BREAK a", ["", " a"]), ("a BREAK", ["a "]), ("a BREAK BREAK b", ["a ", " ", " b"]), ("BREAK", [""])],
)
def test_a_section_may_be_empty_but_not_the_last(prompt: str, sections: list[str]) -> None:
    (text,) = parse_prompt(prompt).at(1, 1)
    assert ["".join(span.text for span in section) for section in text] == sections


def test_loras_are_kept_and_not_said() -> None:
    read = parse_prompt("a <lora:detail:0.8>cat, [<lora:soft ink>:b:1] <lyco:x:-1>")
    assert read.loras == (Lora("detail", 0.8, 2), Lora("soft ink", 1.0, 25), Lora("x", -1.0, 46))
    assert plain(read.at(2, 2)[0]) == "a cat, b "


def test_a_negative_prompt_joins_nothing() -> None:
    read = parse_prompt("(a) AND <lora:b:1> BREAK c", where="negative_prompt", negative=True)
    assert read.weights == (1.0,)
    assert read.loras == ()
    assert plain(read.at(1, 1)[0]) == "a AND <lora:b:1>  BREAK  c"


def test_literal_prompts_are_taken_as_they_are() -> None:
    text = r"(a:1.2) AND [b|c] \( BREAK <lora:d:1>"
    assert literal_prompt(text).over(3) == [(((Span(text),),),)] * 3


# What cannot be read


@pytest.mark.parametrize(
    ("prompt", "position", "message"),
    [
        ("a (cat:nan)", 7, "the weight nan"),
        ("a (cat: -inf )", 8, "the weight -inf"),
        ("(a:1e999)", 3, "the weight 1e999"),
        ("(a:" + "9" * 400 + ")", 3, "the weight 99999999999999999999…"),
        ("[a:b:nan]", 5, "the step nan"),
        ("[a:b:Infinity]", 5, "the step Infinity"),
        ("a AND b:inf", 8, "the weight inf"),
        ("((a:1e300):1e300)", 1, "infinity"),
        ("x<lora:a:nan>", 9, "the weight nan"),
        ("x<lora:a:b>", 1, "names no LoRA"),
        ("x<lora:a:1:2>", 1, "names no LoRA"),
        ("x<lora::1>", 1, "names no LoRA"),
        ("a AND " * 40, 31 * 6 + 2, "more than 32 prompts"),
        ("[x:" * 33 + "y" + ":1]" * 33, 33 * 3 + 1 + 32 * 3 + 1, "deeper than 32"),
    ],
)
def test_errors_name_the_place(prompt: str, position: int, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse_prompt(prompt, where="prompt").at(1, 1)
    assert caught.value.position == position
    assert caught.value.where == "prompt"
    assert message in str(caught.value)
    assert f"at character {position + 1}" in str(caught.value)


def test_errors_name_the_field() -> None:
    with pytest.raises(PromptError, match=r"^negative_prompt: the weight nan is not a finite number at"):
        parse_prompt("(a:nan)", where="negative_prompt", negative=True).at(1, 1)


# Any text


def read_whole(prompt: str) -> Prompt | None:
    try:
        read = parse_prompt(prompt)
        for texts in read.over(7):
            assert len(texts) == len(read.weights)
            assert all(text for text in texts)
    except PromptError:
        return None
    return read


@given(st.one_of(TANGLES, st.text(max_size=80)))
@example("\\")
@example("[a:b:1e400]")
@example("\0(")
def test_any_text_is_read_or_refused(prompt: str) -> None:
    read_whole(prompt)


@given(st.text(st.characters(exclude_characters="()[]:|\\<AB", exclude_categories=["Cs"])))
def test_text_without_special_characters_is_itself(prompt: str) -> None:
    assert parse_prompt(prompt).at(1, 1) == ((tuple([Span(prompt)] if prompt else []),),)


@given(st.one_of(TANGLES, st.text(st.characters(exclude_categories=["Cs"]), max_size=80)))
def test_escaped_text_is_read_back(text: str) -> None:
    read = parse_prompt(escape(text))
    assert read.loras == ()
    assert read.over(2) == [((tuple([Span(text)] if text else []),),)] * 2


@given(TANGLES)
def test_every_character_of_balanced_text_is_said(text: str) -> None:
    """Brackets of weight around escaped text change its weight, and nothing else."""
    assert spans(f"x({escape(text)}:0.5)[y]")[0] == ("x", 1.0)
    assert plain(parse_prompt(f"x({escape(text)}:0.5)[y]").at(1, 1)[0]) == f"x{text}y"


@pytest.mark.parametrize(
    "unit",
    ["(", ")", "[", "(a:1.0)", "[a:b:5]", "[a|b]", ":", "a:", "[(:", "<lora:", "A", "\\", "a BREAK ", "日"],
)
def test_the_longest_prompts_are_read_in_no_time(unit: str) -> None:
    """A reader that goes back over what it has read would take minutes."""
    prompt = unit * (32_000 // len(unit.encode()))
    started = time.process_time()
    read_whole(prompt)
    assert time.process_time() - started < 5
