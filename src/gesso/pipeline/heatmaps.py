"""Where in a picture each word of its prompt was looked up.

Tang et al. 2022, "What the DAAM: Interpreting Stable Diffusion Using Cross Attention", §3.2: each pixel of
a feature map shares out its attention among the tokens of the context. What a word was given, on the
average of the heads, the layers and the network's calls, each layer's map enlarged bicubically to the
latents' size, is its heatmap.

All cross-attentions count, at all resolutions, and only their conditional half: what the negative prompt
looked at does not. A layer that DeepCache does not compute is not counted in that call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gesso.diffusion.guidance import positive_rows
from gesso.diffusion.samplers import Step
from gesso.engine.watched import Watch, attention_on
from gesso.errors import RequestError
from gesso.models.attention import CrossAttention
from gesso.text.weighing import Text
from gesso.text.words import Word

MAX_WORDS = 300
"""A sheet of more would be larger than a poster."""

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """One picture's words, and where it looked at them.

    Attributes:
        words: as they were written, in their order; one said before is followed by a number: "cat (2)".
        maps: (words, h/8, w/8) float32 on the CPU, the share of a pixel's attention that went to the word's
            tokens together, 0…1, on the average of the calls in which the word was said. What is missing
            from 1 over all words went to punctuation and to the tokens of start, end and padding.
    """

    words: tuple[str, ...]
    maps: Tensor


class HeatmapRecorder:
    """Records one batch: ``pipeline.stream(request, heatmaps=recorder)``, then ``recorder.heatmaps()``.

    Holds a sum for each word and resolution, whatever the number of steps. A prompt that changes from step
    to step (``[from:to:when]``, ``[a|b]``) has the words of all steps; each is averaged over those in which
    it was said. Prompts joined by AND have their words one after the other. A second pass counts as well.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[int, Text], Tally] = {}
        self._by_step: list[list[Tally]] = []
        self._step = 0
        self._sizes: list[Size] = []

    def begin(
        self,
        said: Sequence[tuple[Text, ...]],
        words_of: Callable[[Text], list[Word]],
        pictures: int,
        size: Size,
    ) -> Watch:
        """Get ready for a walk; what is returned is to be told of the cross-attentions.

        Args:
            said: at each step, what each of the prompts that AND joins says.
            words_of: their words.
            pictures: of the batch.
            size: of the latents.

        Raises:
            RequestError: there are more than ``MAX_WORDS`` words.
        """
        for part, text in dict.fromkeys(chain.from_iterable(map(enumerate, said))):
            if (part, text) not in self._tallies:
                self._tallies[part, text] = Tally(words_of(text), pictures)
        self._by_step = [[self._tallies[each] for each in enumerate(texts)] for texts in said]
        self._step, self._sizes = 0, list(halved(size))
        if (count := len(self._sayings())) > MAX_WORDS:
            raise RequestError(
                f"heatmaps of {count:,} words are more than {MAX_WORDS}",
                "Shorten the prompt, or draw without them.",
                where="prompt",
            )
        return self._watch

    def follow(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The same steps; each one done brings what is said at the next."""
        for step in steps:
            self._step = min(self._step + 1, len(self._by_step) - 1)
            yield step

    def heatmaps(self) -> list[Heatmaps]:
        """One a picture of the batch."""
        words = self._sayings()
        names = tuple(numbered([word for (_, word, _) in words]))
        maps = [self._average(sayings) for sayings in words.values()]  # (b, h/8, w/8) each
        pictures = next(iter(self._tallies.values())).pictures
        by_word = torch.stack(maps, dim=1) if maps else torch.zeros(pictures, 0, *self._sizes[0])
        return [Heatmaps(names, each) for each in by_word]

    def _watch(self, layer: CrossAttention, x: Tensor, context: Tensor) -> None:
        tallies = self._by_step[self._step]
        size = next(each for each in self._sizes if each[0] * each[1] == x.shape[1])
        pictures = tallies[0].pictures
        pixels, rows = (positive_rows(each, len(tallies) * pictures) for each in (x, context))
        for tally, x, context in zip(tallies, pixels.split(pictures), rows.split(pictures), strict=True):
            tally.add(layer, x, context, size)

    def _sayings(self) -> dict[tuple[int, str, int], list[tuple[Tally, int]]]:
        """By prompt, word and how often it was said before: in which tallies it is, and where there."""
        found: dict[tuple[int, str, int], list[tuple[Tally, int]]] = {}
        for (part, _), tally in self._tallies.items():
            before: Counter[str] = Counter()
            for place, word in enumerate(tally.words):
                found.setdefault((part, word.text, before[word.text]), []).append((tally, place))
                before[word.text] += 1
        return found

    def _average(self, sayings: list[tuple[Tally, int]]) -> Tensor:
        """(b, h/8, w/8) of one word."""
        total = sum(
            interpolate(sums[:, place].unflatten(-1, size)[:, None], self._sizes[0], mode="bicubic")
            for tally, place in sayings
            for size, sums in tally.sums.items()
        )
        calls = sum(tally.calls for tally, _ in sayings)
        assert isinstance(total, Tensor), "the network has not been called"
        return (total[:, 0] / calls).clamp(0, 1).cpu()  # bicubic curves overshoot


class Tally:
    """What the words of one text were given, so far.

    Attributes:
        words: of the text.
        pictures: of the batch.
        sums: (b, words, h·w) for each size of feature maps, over layers and calls.
        calls: how many layers and calls those are.
    """

    def __init__(self, words: list[Word], pictures: int) -> None:
        self.words = words
        self.pictures = pictures
        self.sums: dict[Size, Tensor] = {}
        self.calls = 0

    def add(self, layer: CrossAttention, x: Tensor, context: Tensor, size: Size) -> None:
        """Count one call of a layer: pixels (b, h·w, channels) and contexts (b, m, d)."""
        groups = torch.zeros(context.shape[1], len(self.words), device=x.device)
        for place, word in enumerate(self.words):
            groups[list(word.rows), place] = 1
        given = torch.stack([attention_on(layer, *each, groups) for each in zip(x, context, strict=True)])
        self.sums[size] = self.sums.get(size, 0) + given
        self.calls += 1


def halved(size: Size) -> Iterator[Size]:
    """Heights and widths of a UNet's feature maps, the finest first."""
    yield size
    while size != (1, 1):
        size = (size[0] + 1) // 2, (size[1] + 1) // 2
        yield size


def numbered(names: Sequence[str]) -> Iterator[str]:
    """The same names, told apart."""
    before: Counter[str] = Counter()
    for name in names:
        before[name] += 1
        yield name if before[name] == 1 else f"{name} ({before[name]})"
