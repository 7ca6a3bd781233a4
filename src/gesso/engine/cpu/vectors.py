"""Vector instructions in Numba's kernels, where the choice of registers cannot be left to the compiler.

A product is at the processor's peak only if a tile of its sums stays in registers throughout. Numba's loops
cannot say so; LLVM's vectors can. Where the processor's registers are narrower, LLVM takes several.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
"""Numbers in a vector."""

SQUARE = 8
"""Rows and columns of the squares that are transposed in registers."""

FLOAT, INTEGER = ir.FloatType(), ir.IntType(32)

POWER_OF_TWO = (
    1.0000000716507098,
    0.6931469670520451,
    0.24022119726829713,
    0.0555071328504466,
    0.009675541346834411,
    0.0013276469864102302,
)
"""The polynomial nearest to 2ˣ for x in ±½ (Remez 1934): a relative error of at most 7.5e-8."""

ROUNDING = 1.5 * 2.0**23
"""Adding it rounds a float32 to whole numbers, and leaves them in the sum's lowest bits."""


Value = Any
"""A value of LLVM: a whole number of 64 bits, a float32, or a vector of them."""

Pointer = Any
"""To a number in an array."""


def vector_code(emit: Callable[..., None]) -> Any:
    """Make a function that emits instructions one that kernels can call.

    Args:
        emit: takes `Vectors` and what the kernel passes. Where it takes a `Pointer`, the kernel passes an
            array and, after it, the index to begin at.
    """
    pointers = [each.annotation == "Pointer" for each in inspect.signature(emit).parameters.values()][1:]

    def define(typing_context: Any, *kinds: Any) -> Any:  # noqa: ARG001 (Numba passes it)
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            passed = iter(zip(signature.args, values, strict=True))
            arguments = []
            for is_pointer in pointers:
                kind, value = next(passed)
                if is_pointer:
                    _, index = next(passed)
                    value = builder.gep(context.make_array(kind)(context, builder, value).data, [index])
                arguments.append(value)
            emit(Vectors(builder), *arguments)
            return context.get_dummy_value()

        return numba.types.none(*kinds), generate

    count = 1 + len(pointers) + sum(pointers)  # Numba asks for the number of parameters
    position = inspect.Parameter.POSITIONAL_ONLY
    names = (inspect.Parameter(f"argument{index}", position) for index in range(count))
    vars(define)["__signature__"] = inspect.Signature([*names])
    return intrinsic(define)


class Vectors:
    """Emits instructions; vectors have `LANES` numbers if nothing else is said."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    # Whole numbers

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.add(a, self.index(b))

    def multiply(self, a: Any, b: Any) -> Any:
        return self.builder.mul(a, self.index(b))

    def index(self, value: Any) -> Any:
        return ir.Constant(ir.IntType(64), value) if isinstance(value, int) else value

    def least(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    @contextmanager
    def loop(self, count: Any, step: int = 1) -> Iterator[Any]:
        """Repeat what is emitted within, for 0, step, … below ``count``, a multiple of ``step``."""
        times = self.builder.sdiv(count, self.index(step))
        with cgutils.for_range(self.builder, times, intp=ir.IntType(64)) as loop:
            yield self.multiply(loop.index, step)

    # Memory

    def variable(self, value: Any) -> Any:
        """What keeps a value from one turn of a loop to the next: a register, if there are enough."""
        return cgutils.alloca_once_value(self.builder, value)

    def get(self, variable: Any) -> Any:
        return self.builder.load(variable)

    def set(self, variable: Any, value: Any) -> None:
        self.builder.store(value, variable)

    def number(self, pointer: Any, index: Any) -> Any:
        return self.builder.load(self.builder.gep(pointer, [self.index(index)]))

    def load(self, pointer: Any, index: Any, lanes: int = LANES) -> Any:
        return self.builder.load(self._vector_at(pointer, index, lanes), align=4)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        self.builder.store(value, self._vector_at(pointer, index, value.type.count), align=4)

    def _vector_at(self, pointer: Any, index: Any, lanes: int) -> Any:
        kind = ir.VectorType(FLOAT, lanes).as_pointer()
        return self.builder.bitcast(self.builder.gep(pointer, [self.index(index)]), kind)

    # Arithmetic

    def constant(self, value: float, lanes: int = LANES) -> Any:
        return ir.Constant(ir.VectorType(FLOAT, lanes), [value] * lanes)

    def splat(self, number: Any, lanes: int = LANES) -> Any:
        """A vector of the same number."""
        undefined = ir.Constant(ir.VectorType(FLOAT, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, number, ir.Constant(INTEGER, 0))
        return self._shuffle(first, undefined, [0] * lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a · b + c, in one instruction where there is one."""
        kind = ir.FunctionType(a.type, [a.type] * 3)
        name = f"llvm.fmuladd.v{a.type.count}f32"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def maximum(self, a: Any, b: Any) -> Any:
        """The larger one; ``b`` if one of them is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def power_of_two(self, x: Any) -> Any:
        """2ˣ for x ≤ 0, to 1e-7; of what lies below 2⁻¹²⁶, that; of NaN, NaN."""
        builder, lanes = self.builder, x.type.count
        integers = ir.VectorType(INTEGER, lanes)
        x = self.maximum(self.constant(-126.0, lanes), x)
        rounding = self.constant(ROUNDING, lanes)
        rounded = builder.fadd(x, rounding)
        rest = builder.fsub(x, builder.fsub(rounded, rounding))  # in ±½
        power = self.constant(POWER_OF_TWO[-1], lanes)
        for coefficient in POWER_OF_TWO[-2::-1]:
            power = self.multiply_add(power, rest, self.constant(coefficient, lanes))
        exponent = builder.shl(builder.bitcast(rounded, integers), ir.Constant(integers, [23] * lanes))
        return builder.bitcast(builder.add(builder.bitcast(power, integers), exponent), x.type)

    def transposed(self, rows: list[Any]) -> list[Any]:
        """The columns of eight vectors of eight: pairs, fours and halves change places in turn."""
        for width in (1, 2, 4):
            mixed = list(rows)
            for low in (row for row in range(SQUARE) if not row & width):
                lanes = range(SQUARE)
                even = [lane if not lane & width else lane - width + SQUARE for lane in lanes]
                odd = [lane + width if not lane & width else lane + SQUARE for lane in lanes]
                mixed[low] = self._shuffle(rows[low], rows[low + width], even)
                mixed[low + width] = self._shuffle(rows[low], rows[low + width], odd)
            rows = mixed
        return rows

    def _shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(INTEGER, len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, mask)
