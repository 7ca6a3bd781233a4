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

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gesso.config import ModelConfig
from gesso.diffusion.guidance import positive_rows
from gesso.diffusion.samplers import Denoise
from gesso.engine.watched import attention_on
from gesso.errors import RequestError
from gesso.models.attention import CrossAttention
from gesso.pipeline.request import ResolvedRequest
from gesso.text.chunks import split_chunks
from gesso.text.tokenizer import Tokenizer
from gesso.text.weighing import Text
from gesso.text.words import Word, words_of

MAX_WORDS = 300
"""A sheet of more would be larger than a poster."""

Size = tuple[int, int]
"""Height and width."""

Bind = Callable[[Tensor], Denoise]
"""A context -> the function that samplers walk with."""


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
        self._said: list[Tally] = []
        self._sizes: list[Size] = []

    def join(
        self,
        bind: Bind,
        contexts: Iterable[Tensor],
        said: Sequence[tuple[Text, ...]],
        request: ResolvedRequest,
        tokenizer: Tokenizer,
        config: ModelConfig,
    ) -> tuple[Bind, Iterator[Tensor]]:
        """Go along on a walk: the same functions and contexts, but what is bound knows what is said.

        Args:
            bind: makes the function that is walked with from a context; the network that it asks is watched
                by `watch`.
            contexts: one a step, or one a call.
            said: likewise, what each of the prompts that AND joins says.

        Raises:
            RequestError: there are more than ``MAX_WORDS`` words.
        """
        downscale = config.autoencoder.downscale
        self._sizes = list(halved((request.height // downscale, request.width // downscale)))
        length, backtrack = config.text_encoder.max_length, request.comma_backtrack
        for part, texts in enumerate(zip(*said, strict=True)):
            texts = dict.fromkeys(texts)
            chunks = (split_chunks(tokenizer, text, length, comma_backtrack=backtrack) for text in texts)
            period = None if request.pad_prompts else length * max(map(len, chunks))
            for text in texts:
                words = words_of(tokenizer, text, length, comma_backtrack=backtrack)
                self._tallies.setdefault((part, text), Tally(words, request.count, period))
        if (count := len(self._sayings())) > MAX_WORDS:
            raise RequestError(
                f"heatmaps of {count:,} words are more than {MAX_WORDS}",
                "Shorten the prompt, or draw without them.",
                where="prompt",
            )
        tallies: dict[int, list[Tally]] = {}

        def noted() -> Iterator[Tensor]:
            for context, texts in zip(contexts, said, strict=True):
                tallies[id(context)] = [self._tallies[each] for each in enumerate(texts)]
                yield context

        def bound(context: Tensor) -> Denoise:
            return self._saying(tallies[id(context)], bind(context))

        return bound, noted()

    def _saying(self, tallies: list[Tally], denoise: Denoise) -> Denoise:
        def denoise_meanwhile(x: Tensor, sigma: Tensor) -> Tensor:
            self._said = tallies
            return denoise(x, sigma)

        return denoise_meanwhile

    def watch(self, layer: CrossAttention, x: Tensor, context: Tensor) -> None:
        """Be told of one call of a cross-attention (see `gesso.engine.watched.Watch`)."""
        size = next(each for each in self._sizes if each[0] * each[1] == x.shape[1])
        pictures = self._said[0].pictures
        pixels, rows = (positive_rows(each, len(self._said) * pictures) for each in (x, context))
        for tally, x, context in zip(self._said, pixels.split(pictures), rows.split(pictures), strict=True):
            tally.add(layer, x, context, size)

    def heatmaps(self) -> list[Heatmaps]:
        """One a picture of the batch."""
        words = self._sayings()
        names = tuple(numbered([word for (_, word, _) in words]))
        maps = [self._average(sayings) for sayings in words.values()]  # (b, h/8, w/8) each
        pictures = next(iter(self._tallies.values())).pictures
        by_word = torch.stack(maps, dim=1) if maps else torch.zeros(pictures, 0, *self._sizes[0])
        return [Heatmaps(names, each) for each in by_word]

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
        period: after so many rows of the context the same follow again; None is never.
        sums: (b, words, h·w) for each size of feature maps, over layers and calls.
        calls: how many layers and calls those are.
    """

    def __init__(self, words: list[Word], pictures: int, period: int | None) -> None:
        self.words = words
        self.pictures = pictures
        self.period = period
        self.sums: dict[Size, Tensor] = {}
        self.calls = 0
        self._groups: dict[int, Tensor] = {}

    def add(self, layer: CrossAttention, x: Tensor, context: Tensor, size: Size) -> None:
        """Count one call of a layer: pixels (b, h·w, channels) and contexts (b, m, d)."""
        groups = self.groups(context.shape[1], x.device)
        given = torch.stack([attention_on(layer, *each, groups) for each in zip(x, context, strict=True)])
        self.sums[size] = self.sums.get(size, 0) + given
        self.calls += 1

    def groups(self, length: int, device: torch.device) -> Tensor:
        """(m, words): 1 where a row of a context of this length is the word's."""
        if length not in self._groups:
            groups = torch.zeros(self.period or length, len(self.words), device=device)
            for place, word in enumerate(self.words):
                groups[list(word.rows), place] = 1
            self._groups[length] = groups.repeat(length // len(groups), 1)
        return self._groups[length]


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
