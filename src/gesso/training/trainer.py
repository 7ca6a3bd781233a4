"""The training loop: one model, one loss, resumable at any step."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from gesso.errors import NumericsError
from gesso.training.batches import BatchTask
from gesso.training.ema import EMA
from gesso.training.muon import optimizers
from gesso.training.recipe import Recipe
from gesso.training.recorded import RecordedSteps
from gesso.training.state import TrainingState, load_state, save_state

OF_THE_DEVICE = "lr", "capturable"
"""What optimizers keep as it is when a state of another device is read."""

Model = TypeVar("Model", bound=nn.Module)
Trained = TypeVar("Trained", bound=nn.Module, covariant=True)


class Task(Protocol[Trained]):
    """What is trained, and on what.

    Attributes:
        name: of the files in the run's folder.
        model: every weight that is trained.
        settings: what the model and the data depend on; a run cannot be resumed with others.
    """

    name: str
    settings: dict[str, Any]

    @property
    def model(self) -> Trained: ...

    def loss(self, step: int) -> Tensor:
        """The loss of one batch; its randomness follows from the step alone."""
        ...


@dataclass(frozen=True)
class TrainingStep:
    """One optimizer step: its number (from 0), loss and learning rate."""

    index: int
    loss: float
    learning_rate: float


class Stage(Protocol):
    """A part of a run that takes its time, can be interrupted after each of its steps, and goes on."""

    @property
    def name(self) -> str: ...

    @property
    def steps(self) -> int: ...

    @property
    def step(self) -> int:
        """How many are done."""
        ...

    def run(self) -> Generator[TrainingStep | int, None, None]:
        """Go on to the end, yielding after each step; closing the iterator early saves the state."""
        ...


class Trainer(Generic[Model]):
    """The recipe's optimizers with gradient clipping and averaged weights.

    Args:
        task: what to train.
        recipe: how.
        folder: keeps ``<task>.pt``, the state to resume from (read if it is there), and
            ``<task>.csv``, the loss of every step.
        save_every: seconds between two savings; one that is closed early saves as well.

    Raises:
        ResumeError: the folder holds a run with other settings.
    """

    def __init__(self, task: Task[Model], recipe: Recipe, folder: Path, save_every: float = 300) -> None:
        self.task = task
        self.recipe = recipe
        self.save_every = save_every
        self.state_path = folder / f"{task.name}.pt"
        self.log_path = folder / f"{task.name}.csv"
        self.average = EMA(task.model, recipe.ema_decay)
        self.optimizers = optimizers(task.model, recipe.optimizer, recipe.weight_decay)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self.state_path.exists():
            self._resume()
        self._trim_log()

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def steps(self) -> int:
        """Of the whole run; ``step`` says how many are done."""
        return self.recipe.steps

    def run(self) -> Generator[TrainingStep, None, None]:
        """Train to the end, yielding each step; closing the iterator early saves the state.

        Raises:
            NumericsError: the loss is no longer finite; the state saved last is still good.
        """
        settle(self.device)
        advance, saved = self._steps(), monotonic()
        with self.log_path.open("a", encoding="utf-8", buffering=1) as log:
            while self.step < self.recipe.steps:
                result = self._train_step(self.step, advance)
                self.step += 1
                log.write(f"{result.index},{result.loss:.6g}\n")
                if monotonic() - saved > self.save_every or self.step == self.recipe.steps:
                    self._save()
                    saved = monotonic()
                try:
                    yield result
                except GeneratorExit:  # between two steps, so weights and optimizer agree
                    self._save()
                    raise

    @property
    def device(self) -> torch.device:
        return next(self.task.model.parameters()).device

    def _steps(self) -> Callable[[], Tensor]:
        """What takes the next step and gives its loss."""
        half = self.recipe.precision == "bfloat16"
        if self.device.type == "cuda" and isinstance(self.task, BatchTask):
            return RecordedSteps(self.task, self._update, range(self.step, self.recipe.steps), half).advance
        return lambda: self._update(self.task.loss(self.step))

    def _train_step(self, index: int, advance: Callable[[], Tensor]) -> TrainingStep:
        rate = self.recipe.learning_rate_at(index)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"].fill_(rate)
        value = float(advance())
        if not math.isfinite(value):
            raise NumericsError(
                f"the loss of step {index} is {value}",
                "Resume with a lower learning rate.",
                where=self.task.name,
            )
        self.average.update(self.task.model, index)
        return TrainingStep(index, value, rate)

    def _update(self, loss: Tensor) -> Tensor:
        """Change the weights; the loss."""
        self.task.model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.task.model.parameters(), max_norm=1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.detach()

    def _fingerprint(self) -> dict[str, Any]:
        return {**self.task.settings, **self.recipe.fingerprint()}

    def _save(self) -> None:
        state = TrainingState(
            fingerprint=self._fingerprint(),
            step=self.step,
            model=self.task.model.state_dict(),
            average=self.average.model.state_dict(),
            optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
        )
        save_state(state, self.state_path)

    def _resume(self) -> None:
        state = load_state(self.state_path, self._fingerprint())
        self.task.model.load_state_dict(state.model)
        self.average.model.load_state_dict(state.average)
        for optimizer, saved in zip(self.optimizers, state.optimizers, strict=True):
            here = [
                {key: group[key] for key in OF_THE_DEVICE if key in group}
                for group in optimizer.param_groups
            ]
            optimizer.load_state_dict(saved)
            for group, own in zip(optimizer.param_groups, here, strict=True):
                group.update(own)
        self.step = state.step

    def _trim_log(self) -> None:
        """Drop lines of steps that a killed run had logged but not saved, and begin a new file."""
        lines = self.log_path.read_text(encoding="utf-8").splitlines() if self.log_path.exists() else []
        kept = ["step,loss", *lines[1 : self.step + 1]]
        self.log_path.write_text("\n".join(kept) + "\n", encoding="utf-8")


def settle(device: torch.device) -> None:
    """Set what makes training faster on a device, for the whole process."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
