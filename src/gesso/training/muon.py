"""Muon: steps whose matrices have singular values of about one.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of the step and the
weight decay are those of Liu et al. 2025, "Muon is Scalable for LLM Training", equation 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the quintic whose iteration brings singular values in (0, 1] near one, fast rather than exactly."""


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, for weights that are matrices (convolutions: one row an output channel).

    Args:
        parameters: each of two dimensions or more.
        lr: of the size that suits AdamW: a step's root mean square is 0.2 · lr.
        momentum: of Nesterov's average of the gradients.
        weight_decay: as AdamW's.
        iterations: of the quintic.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        iterations: int = 5,
    ) -> None:
        settings = {"momentum": momentum, "weight_decay": weight_decay, "iterations": iterations}
        super().__init__(parameters, {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; the loss, if ``closure`` computes it."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                average = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                gradient = parameter.grad.lerp(average, group["momentum"])
                direction = orthogonalise(gradient.flatten(1), group["iterations"]).view_as(parameter)
                rows, columns = parameter.shape[0], parameter[0].numel()
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction, alpha=-0.2 * group["lr"] * math.sqrt(max(rows, columns)))
        return loss


def orthogonalise(matrix: Tensor, iterations: int) -> Tensor:
    """U Vᵀ of the singular value decomposition U S Vᵀ, roughly: (m, n) -> (m, n).

    X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X is a polynomial in the Gram matrix X Xᵀ times X, so the iteration
    runs on the small square matrices alone, and X is multiplied once, at the end.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalise(matrix.T, iterations).T
    matrix = matrix / (torch.linalg.matrix_norm(matrix) + 1e-7)
    gram = matrix @ matrix.T  # (m, m)
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    a, b, c = COEFFICIENTS
    product = identity
    for iteration in range(iterations):
        polynomial = torch.addmm(a * identity + b * gram, gram, gram, alpha=c)
        product = polynomial @ product if iteration else polynomial
        if iteration + 1 < iterations:
            gram = polynomial @ gram @ polynomial
    return product @ matrix


def optimizers(model: nn.Module, name: str, weight_decay: float) -> list[torch.optim.Optimizer]:
    """The optimizers of a model's parameters, for a recipe that asks for "adamw" or "muon".

    Muon is for hidden matrices; embeddings, the first and the last convolution, norms and biases keep
    AdamW.
    """
    hidden = {
        key: parameter
        for key, parameter in model.named_parameters()
        if name == "muon"
        and parameter.ndim >= 2
        and not key.endswith("_embedding.weight")
        and not key.endswith(("conv_in.weight", "conv_out.weight"))
    }
    rest = [parameter for key, parameter in model.named_parameters() if key not in hidden]
    adamw = torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True)
    return [adamw, Muon(hidden.values(), weight_decay=weight_decay)] if hidden else [adamw]
