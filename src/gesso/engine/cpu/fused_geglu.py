"""GEGLUs that gate in one pass over memory."""

from __future__ import annotations

from torch import Tensor

from gesso.engine.cpu.geglu import gate
from gesso.engine.cpu.jit import runs_kernels
from gesso.models.attention import GEGLU


class FusedGEGLU(GEGLU):
    """Multiplies values with their gates' GELU as it reads them."""

    def forward(self, x: Tensor) -> Tensor:
        return gate(self.proj(x)) if runs_kernels(x, self.proj.weight) else super().forward(x)
