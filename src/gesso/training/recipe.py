"""How long and how fast one model is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """One training stage.

    The learning rate rises over ``warmup`` steps, stays, and falls linearly to zero over the last
    ``cooldown`` share of the steps (Hu et al. 2024, "MiniCPM", §4: warmup, stable, decay); so ``steps``
    alone may change when a run is resumed.

    Attributes:
        steps: optimizer steps in all.
        batch_size: pictures a step.
        learning_rate: the peak.
        optimizer: "adamw", or "muon" for hidden matrices and AdamW for the rest.
        precision: of convolutions and products on a GPU; elsewhere all is float32. Weights always are.
        weight_decay: decoupled (Loshchilov & Hutter 2019).
        ema_decay: of the running average of the weights that is kept as the result.
        seed: all of a step's randomness follows from it and the step's number.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 100
    cooldown: float = 0.25
    optimizer: Literal["adamw", "muon"] = "muon"
    precision: Literal["float32", "bfloat16"] = "float32"
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The rate of one step, 0 ≤ step < steps."""
        rise = (step + 1) / self.warmup
        fall = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.learning_rate * min(1.0, rise, fall)

    def fingerprint(self) -> dict[str, float | str]:
        """What must be the same for a run to be resumed: all but the number of steps."""
        fields = asdict(self)
        del fields["steps"]
        return fields
