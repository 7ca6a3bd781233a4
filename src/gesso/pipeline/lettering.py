"""Words on pictures: in a font that has their letters, in lines that fit."""

from __future__ import annotations

from functools import cache, lru_cache

from PIL import Image, ImageDraw, ImageFont

from gesso.errors import ImageError

FALLBACKS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msyh.ttc",
    "PingFang.ttc",
)
"""Tried one after the other for what Pillow's own font lacks, which is all but plain Latin letters."""

OWN = ""
"""Stands for Pillow's own font."""

NO_LETTER = "\U0010ffff"
"""Never assigned, so what a font shows for it is what it shows for any letter that it lacks."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

MAX_LETTERS = 400
ELLIPSIS = "…"
JOINTS = "_-/.,"


class Lettering:
    """Letters of one size.

    A letter that no font has is written as its number in Unicode, never as an empty box.

    Args:
        size: in pixels, of a line.
        font: a TrueType or OpenType file to take first; None takes Pillow's.

    Attributes:
        lacking: the letters so far that no font had.

    Raises:
        ImageError: the file is no font.
    """

    def __init__(self, size: int, font: str | None = None) -> None:
        self.size = size
        self.lacking: set[str] = set()
        self._font = font
        if font is not None and _font(font, size) is None:
            raise ImageError("it is no font", "Give a .ttf or .otf file.", where=font)

    @property
    def line_height(self) -> int:
        return round(1.3 * self.size)

    def width(self, text: str) -> int:
        """In pixels."""
        return round(self._font_for(text).getlength(text))

    def wrap(self, text: str, width: int, lines: int) -> list[str]:
        """Text in at most so many lines of at most so many pixels; of a long one, the beginning and end."""
        text = self._legible(text)
        broken: list[str] = []
        for word in text.split():
            for part in self._pieces(word, width):
                longer = f"{broken[-1]} {part}" if broken else part
                if broken and self.width(longer) <= width:
                    broken[-1] = longer
                else:
                    broken.append(part)
        if len(broken) <= lines:
            return broken
        if lines < 1:
            return []
        head, tail = broken[: -(-lines // 2)], broken[len(broken) - lines // 2 :]
        head[-1] = self._ending(head[-1], width)
        return head + tail

    def write(
        self, draw: ImageDraw.ImageDraw, place: tuple[int, int], lines: list[str], colour: str
    ) -> None:
        """Lines below one another, from a place's top left corner on."""
        left, top = place
        for line in lines:
            draw.text((left, top), line, fill=colour, font=self._font_for(line))
            top += self.line_height

    def _legible(self, text: str) -> str:
        """Text of letters that can be written, and of no more than can be read."""
        if len(text) > MAX_LETTERS:
            half = MAX_LETTERS // 2
            text = f"{text[:half]}{ELLIPSIS}{text[-half:]}"
        text = " ".join(text.split())
        text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
        lacked = _lacked(self._name_for(text), text)
        self.lacking |= lacked
        return "".join(_number(letter) if letter in lacked else letter for letter in text)

    def _pieces(self, word: str, width: int) -> list[str]:
        """A word, in pieces where it is wider than a line."""
        pieces: list[str] = []
        while word:
            length = len(word)
            while length > 1 and self.width(word[:length]) > width:
                length -= 1
            if length < len(word):  # after a joint, if there is one
                length = max(word.rfind(joint, 0, length) + 1 for joint in JOINTS) or length
            pieces.append(word[:length])
            word = word[length:]
        return pieces

    def _ending(self, line: str, width: int) -> str:
        while line and self.width(line + ELLIPSIS) > width:
            line = line[:-1]
        return line.rstrip() + ELLIPSIS

    def _font_for(self, text: str) -> Font:
        font = _font(self._name_for(text), self.size)
        assert font is not None  # Pillow's own is always there
        return font

    def _name_for(self, text: str) -> str:
        """The first font that has all letters of a text, or else the one that lacks the fewest."""
        fewest, best = len(text) + 1, OWN
        for name in (OWN, *FALLBACKS) if self._font is None else (self._font, OWN, *FALLBACKS):
            lacked = len(_lacked(name, text)) if _font(name, self.size) else len(text) + 1
            if lacked < fewest:
                fewest, best = lacked, name
            if not fewest:
                break
        return best


@cache
def _font(name: str, size: int) -> Font | None:
    """A font by the name of its file, in the system's folders of fonts; None if there is none."""
    try:
        return ImageFont.truetype(name, size) if name != OWN else ImageFont.load_default(size)
    except OSError:
        return None


def _lacked(name: str, text: str) -> set[str]:
    """The letters of a text that a font has not: those that look like one that no font has."""
    none = _shape(name, NO_LETTER)
    return {letter for letter in set(text) if not letter.isspace() and _shape(name, letter) == none}


@lru_cache(maxsize=10_000)
def _shape(name: str, letter: str) -> bytes:
    side = 32
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).text((0, 0), letter, fill=255, font=_font(name, side // 2))
    return image.tobytes()


def _number(letter: str) -> str:
    """A letter in ASCII, as Python writes it."""
    return letter.encode("ascii", "backslashreplace").decode()
