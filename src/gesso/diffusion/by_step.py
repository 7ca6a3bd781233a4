"""What a walk is steered by may change from step to step: prompts that are scheduled or alternate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from torch import Tensor

from gesso.diffusion.samplers.step import Denoise, Step


class ByStep:
    """A denoise function that is another one at each step of one walk.

    Samplers evaluate as often a step as they like, and at what noise levels they like, so neither calls nor
    sigmas say which step it is. Their yields do: `follow` counts them.

    Args:
        denoisers: one of each step; a walk of more steps stays with the last.
    """

    def __init__(self, denoisers: Iterable[Denoise]) -> None:
        self._left = deque(denoisers)

    @classmethod
    def of(cls, bind: Callable[[Tensor], Denoise], contexts: Iterable[Tensor]) -> Self:
        """Bind each step's context; one that serves several steps is bound once.

        So what is kept of a context, or of a part of it, is kept from the first of its steps to the last.
        """
        by_step = list(contexts)
        bound = {id(context): bind(context) for context in {id(each): each for each in by_step}.values()}
        return cls(bound[id(context)] for context in by_step)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._left[0](x, sigma)

    def follow(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The same steps; each one done brings the next one's function.

        Those done with are let go, and with them what was kept of their contexts.
        """
        for step in steps:
            if len(self._left) > 1:
                self._left.popleft()
            yield step


class ByCall(ByStep):
    """A denoise function that is another one at each call, whatever step it is for."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        denoised = super().__call__(x, sigma)
        if len(self._left) > 1:
            self._left.popleft()
        return denoised

    def follow(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The same steps."""
        yield from steps
