"""``--low-memory`` reaches the model, and draws what is drawn without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gesso.engine import streaming


def test_low_memory_draws_the_same(draw, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed: list[object] = []
    stream_weights = streaming.stream_weights
    monkeypatch.setattr(
        streaming, "stream_weights", lambda *of: (streamed.append(of[0]), stream_weights(*of))
    )
    assert draw("--seed", "3", "-o", "usual.png").status == 0
    assert not streamed
    assert draw("--seed", "3", "-o", "low.png", "--low-memory").status == 0
    assert len(streamed) == 3
    usual, low = (np.asarray(Image.open(here / name)).astype(int) for name in ("usual.png", "low.png"))
    assert abs(usual - low).max() <= 1
