"""Muon: steps whose matrices have singular values of about one.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of the step and the
weight decay are those of Liu et al. 2025, "Muon is Scalable for LLM Training", equation 4.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the quintic whose iteration brings singular values in (0, 1] near one, fast rather than exactly."""


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, for weights that are matrices (convolutions: one row an output channel).

    Args:
        parameters: each of two dimensions or more.
        lr: of the size that suits AdamW: a step's root mean square is 0.2 · lr. A tensor can be changed
            under a recording of the step.
        momentum: of Nesterov's average of the gradients.
        weight_decay: as AdamW's.
        iterations: of the quintic.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float | Tensor = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        iterations: int = 5,
    ) -> None:
        settings = {"momentum": momentum, "weight_decay": weight_decay, "iterations": iterations}
        super().__init__(parameters, {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; the loss, if ``closure`` computes it.

        Matrices of one shape are made orthogonal together, which is a fraction of the calls.
        """
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            gradients = [parameter.grad for parameter in parameters]
            averages = [self._average(parameter) for parameter in parameters]
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])  # pyright: ignore[reportPrivateImportUsage]
            directions = torch._foreach_lerp(gradients, averages, group["momentum"])  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
            for members in _alike(parameters):
                matrices = torch.stack([_upright(directions[member]) for member in members])
                size = -0.2 * math.sqrt(matrices.shape[-1])
                changes = orthogonalise(matrices, group["iterations"]) * (size * group["lr"])
                for member, change in zip(members, changes, strict=True):
                    parameter = parameters[member]
                    tall = len(parameter) > parameter[0].numel()
                    parameter.add_((change.mT if tall else change).reshape(parameter.shape))
        return loss

    def _average(self, parameter: Tensor) -> Tensor:
        """Of its gradients so far."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        return state["momentum"]


def _upright(direction: Tensor) -> Tensor:
    """A parameter's direction as a matrix that is not taller than wide."""
    matrix = direction.flatten(1)
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _alike(parameters: list[Tensor]) -> Iterable[list[int]]:
    """The places of parameters whose matrices have one shape, or one transposed."""
    places: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, parameter in enumerate(parameters):
        places[tuple(sorted((len(parameter), parameter[0].numel())))].append(place)
    return places.values()


def orthogonalise(matrices: Tensor, iterations: int) -> Tensor:
    """U Vᵀ of the singular value decomposition U S Vᵀ, roughly: (…, m, n) -> (…, m, n).

    X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X is a polynomial in the Gram matrix X Xᵀ times X, so the iteration
    runs on the small square matrices alone, and X is multiplied once, at the end. In float32: what TF32
    leaves out of a large product is as large as the small singular values.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonalise(matrices.mT, iterations).mT
    with _full_precision():
        matrices = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
        gram = matrices @ matrices.mT  # (…, m, m)
        identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        a, b, c = COEFFICIENTS
        product = identity
        for iteration in range(iterations):
            polynomial = a * identity + b * gram + c * (gram @ gram)
            product = polynomial @ product if iteration else polynomial
            if iteration + 1 < iterations:
                gram = polynomial @ gram @ polynomial
        return product @ matrices


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products of float32 in float32, whatever the process has chosen."""
    chosen = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(chosen)


def optimizers(model: nn.Module, name: str, weight_decay: float) -> list[torch.optim.Optimizer]:
    """The optimizers of a model's parameters, for a recipe that asks for "adamw" or "muon".

    Muon is for hidden matrices; embeddings, the first and the last convolution, norms and biases keep
    AdamW. Their learning rates are tensors, zero to begin with.
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
    device = next(model.parameters()).device
    adamw = torch.optim.AdamW(
        rest,
        lr=torch.zeros((), device=device),
        betas=(0.9, 0.99),
        weight_decay=weight_decay,
        fused=True,
        capturable=device.type == "cuda",
    )
    if not hidden:
        return [adamw]
    return [adamw, Muon(hidden.values(), lr=torch.zeros((), device=device), weight_decay=weight_decay)]
