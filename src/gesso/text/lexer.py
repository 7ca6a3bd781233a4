"""The words of the prompt language: a prompt's text in tokens, with the place of each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from gesso.errors import PromptError

Kind = Literal["text", "(", ")", "[", "]", ":", "|", "AND", "BREAK", "lora"]

_SYMBOLS = r"\\()\[\]:|<"
_KEYWORD = r"(?<!\w)(?:AND|BREAK)(?!\w)"
_SCANNER = re.compile(
    rf"""
    \\(?P<escaped>.)
    | (?P<lora><(?:lora|lyco):[^<>]*>)
    | (?P<symbol>[()\[\]:|])
    | (?P<keyword>{_KEYWORD})
    | (?P<text>.[^{_SYMBOLS}AB]*)  # up to what could begin something else
    """,
    re.VERBOSE | re.DOTALL,
)
_MEANINGFUL = re.compile(rf"[{_SYMBOLS}]|{_KEYWORD}")
_NUMBER = re.compile(
    r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a prompt.

    Attributes:
        kind: a symbol or keyword, "lora" for a whole ``<lora:…>``, or "text" for all else.
        text: what it says; of text, without the backslashes.
        position: of its first character in the prompt, from 0.
    """

    kind: Kind
    text: str
    position: int


def lex(prompt: str) -> list[Token]:
    """All of a prompt in tokens; two of text never follow each other."""
    tokens: list[Token] = []
    words: list[str] = []  # of the text that is being read
    began = 0
    for match in _SCANNER.finditer(prompt):
        if match.lastgroup in ("escaped", "text"):
            if not words:
                began = match.start()
            words.append(match[match.lastgroup])
            continue
        if words:
            tokens.append(Token("text", "".join(words), began))
            words = []
        text: str = match[0]
        kind = "lora" if match.lastgroup == "lora" else text
        tokens.append(Token(kind, text, match.start()))  # pyright: ignore[reportArgumentType]
    if words:
        tokens.append(Token("text", "".join(words), began))
    return tokens


def escape(text: str) -> str:
    """The prompt that says this text and nothing else: a backslash before whatever means something."""
    return _MEANINGFUL.sub(r"\\\g<0>", text)


def read_number(token: Token, what: str, where: str) -> float | None:
    """The number a token of text is, as Python writes it; None if it is none.

    Args:
        what: the number is, in an error ("the weight").
        where: the request field.

    Raises:
        PromptError: it is NaN, or infinite.
    """
    if token.kind != "text" or not _NUMBER.fullmatch(token.text):
        return None
    number = float(token.text)
    if not math.isfinite(number):
        shown = token.text.strip()
        raise PromptError(
            f"{what} {shown if len(shown) <= 20 else shown[:20] + '…'} is not a finite number",
            "Use one such as 1.2, or write \\: for a colon that is meant as text.",
            where=where,
            position=token.position + len(token.text) - len(token.text.lstrip()),
        )
    return number
