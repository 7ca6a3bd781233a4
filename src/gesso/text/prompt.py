r"""The prompt language: how a prompt is read, and what it says at each step.

It is AUTOMATIC1111's, which most prompts that people share are written in::

    prompt      = composed { "AND" composed }
    composed    = words [ ":" number ]             the weight of a prompt joined by AND; 1 if it is left out
    words       = { piece }
    piece       = scheduled | alternating | emphasised | "BREAK" | lora | text
    scheduled   = "[" [ words ":" ] words ":" when "]"
    alternating = "[" words "|" words { "|" words } "]"
    emphasised  = "(" words ")"                    weight × 1.1
                | "(" words ":" number ")"         weight × number
                | "[" words "]"                    weight ÷ 1.1
    lora        = "<lora:" name [ ":" number ] ">"
    when        = number                           with a point or below 1 a share of the steps, else a step
    text        = anything else; a backslash takes the meaning from the character after it

``[from:to:when]`` says *from* up to and including the step ``when`` (a share: ⌊when · steps⌋), *to* after
it; ``[to:when]`` and ``[from::when]`` leave one of them out. ``[a|b|c]`` says one after the other, a step
each. ``AND`` draws several prompts into one picture, each with its own weight (Liu et al. 2022, Composable
Diffusion). ``BREAK`` ends a chunk of 75 tokens. ``AND`` and ``BREAK`` are words of their own, in capitals.
In a negative prompt ``AND`` and ``<lora:…>`` are text.

Brackets that have no partner are no error. A closing one is text, as are colons and bars outside brackets;
an opening one weighs all that follows it. Brackets may cross: in ``(a [b) c]`` b is under both.

The language has two layers, read one after the other: first what is said at a step, then how it is weighed.
So ``(cat:[1:1.5:0.5])`` is a cat whose weight grows half way.

Where this departs from AUTOMATIC1111: ``: number`` at the end of a prompt without any AND is text ("4:3");
brackets may hold a BREAK; numbers may have an exponent, and are refused if they are NaN or infinite. A
switch comes after step ``when`` as its documentation has it, where the program itself is one step late;
`Prompt.calls` is for that.
"""

from __future__ import annotations

from dataclasses import dataclass

from gesso.errors import PromptError
from gesso.text.choices import At, Words, choices_in, read_words, said
from gesso.text.lexer import Token, lex, read_number
from gesso.text.limits import MAX_COMPOSED, check_prompt
from gesso.text.weighing import Text, weigh


@dataclass(frozen=True)
class Composed:
    """One of the prompts that AND joins."""

    words: Words
    weight: float = 1.0


@dataclass(frozen=True)
class Lora:
    """``<lora:name:weight>``: a LoRA to be applied while the picture is drawn."""

    name: str
    weight: float
    position: int


@dataclass(frozen=True)
class Prompt:
    """A prompt that has been read.

    Attributes:
        composed: the prompts that AND joins, at least one.
        loras: in the order in which they are named.
        where: the request field it came from, for errors.
        calls: of the network a step, where choices are made by them (see `over`); 0 is by steps.
    """

    composed: tuple[Composed, ...]
    loras: tuple[Lora, ...] = ()
    where: str = "prompt"
    calls: int = 0

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the prompts that AND joins."""
        return tuple(each.weight for each in self.composed)

    def at(self, step: int, steps: int, before: int = 0) -> tuple[Text, ...]:
        """What each of the prompts that AND joins says at a step (see `At`).

        Raises:
            PromptError: a weight is NaN or infinite.
        """
        at = At(step, steps, before)
        return tuple(weigh(said(each.words, at), self.where) for each in self.composed)

    def over(self, steps: int, before: int = 0) -> list[tuple[Text, ...]]:
        """What `at` says at each step; what stays the same is the same object.

        Or at each call of the network, of which there are ``calls`` a step: they are counted from 0 where
        steps are from 1, so that all but the first choice is made one call later, as AUTOMATIC1111 does it.
        """
        known: dict[tuple[int, ...], tuple[Text, ...]] = {}
        texts: list[tuple[Text, ...]] = []
        choices = [choice for each in self.composed for choice in choices_in(each.words)]
        times = self.calls or 1
        for place in range(steps * times):
            at = At(max(place, 1) if self.calls else place + 1, steps * times, before * times)
            picked = tuple(id(choice.pick(at)) for choice in choices)
            if picked not in known:
                known[picked] = self.at(at.step, at.steps, at.before)
            texts.append(known[picked])
        return texts


def parse_prompt(text: str, *, where: str = "prompt", negative: bool = False) -> Prompt:
    """Read a prompt, in time linear in its length.

    Args:
        where: the request field to name in an error.
        negative: whether it is a negative prompt, in which AND and ``<lora:…>`` are text.

    Raises:
        PromptError: it is no text, or too long; a number is NaN or infinite; choices are nested deeper than
            ``MAX_NESTING``, or more than ``MAX_COMPOSED`` prompts joined; a ``<lora:…>`` names none.
    """
    tokens = lex(check_prompt(text, where))
    if negative:
        plain = [Token("text", t.text, t.position) if t.kind in ("AND", "lora") else t for t in tokens]
        return Prompt((Composed(read_words(plain, where)),), where=where)
    loras = tuple(_read_lora(token, where) for token in tokens if token.kind == "lora")
    groups: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "AND":
            groups.append([])
            if len(groups) > MAX_COMPOSED:
                problem = f"more than {MAX_COMPOSED} prompts are joined by AND"
                advice = "Each is drawn by itself at every step; join fewer."
                raise PromptError(problem, advice, where=where, position=token.position)
        elif token.kind != "lora":
            groups[-1].append(token)
    if len(groups) == 1:
        return Prompt((Composed(read_words(groups[0], where)),), loras, where)
    return Prompt(tuple(_read_composed(group, where) for group in groups), loras, where)


def literal_prompt(text: str, *, where: str = "prompt") -> Prompt:
    """The prompt that is this text as it stands, brackets and all."""
    token: Token = Token("text", check_prompt(text, where), 0)
    return Prompt((Composed((token,)),), where=where)


def _read_composed(tokens: list[Token], where: str) -> Composed:
    """One of several prompts, with the weight it may end with."""
    if len(tokens) >= 2 and tokens[-2].kind == ":":
        weight = read_number(tokens[-1], "the weight", where)
        if weight is not None:
            return Composed(read_words(tokens[:-2], where), weight)
    return Composed(read_words(tokens, where))


def _read_lora(token: Token, where: str) -> Lora:
    name, *weights = token.text[len("<lora:") : -1].split(":")
    weight = 1.0
    if len(weights) == 1:
        place = token.position + len("<lora:") + len(name) + 1
        weight = read_number(Token("text", weights[0], place), "the weight", where)
    if len(weights) > 1 or weight is None or not name.strip():
        raise PromptError(
            f"{token.text[:60]!r} names no LoRA",
            "Write <lora:name:0.8>.",
            where=where,
            position=token.position,
        )
    return Lora(name.strip(), weight, token.position)
