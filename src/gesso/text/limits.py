"""Which prompts can be read at all, checked before anything expensive is loaded."""

from __future__ import annotations

from gesso.errors import PromptError

MAX_PROMPT_BYTES = 32_768
"""Longest prompt in UTF-8, some 5,000 words: past it a prompt is a mistake (a file pasted by accident).

A token is at least one byte, so a prompt has at most 437 chunks, which any machine can still encode.
"""

MAX_NESTING = 32
"""Choices one inside the other (``[a:[b:c:5]:9]`` is two)."""

MAX_COMPOSED = 32
"""Prompts joined by AND; the network draws each of them at every step."""

MAX_CHUNKS = 4096
"""Chunks of all that one request says, at all its steps: some 1 GB of context for SD 1.x."""


def check_prompt(prompt: object, where: str = "prompt") -> str:
    """The prompt itself, if it is text that a tokenizer, a JSON file and a PNG file can hold.

    Args:
        where: the request field to name in an error.

    Raises:
        PromptError: it is not a str, holds half of a surrogate pair, or is longer than
            ``MAX_PROMPT_BYTES`` in UTF-8.
    """
    if not isinstance(prompt, str):
        raise PromptError(f"{type(prompt).__name__} is not text", "Give the prompt as a str.", where=where)
    try:
        size = len(prompt.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise PromptError(
            f"character {error.start + 1} is U+{ord(prompt[error.start]):04X}, half of a surrogate pair, "
            "which is not text",
            "Remove it, or type the character again.",
            where=where,
        ) from error
    if size > MAX_PROMPT_BYTES:
        raise PromptError(
            f"{size:,} bytes of text are more than a prompt can have ({MAX_PROMPT_BYTES:,})",
            "Shorten it; was a file pasted in by accident?",
            where=where,
        )
    return prompt
