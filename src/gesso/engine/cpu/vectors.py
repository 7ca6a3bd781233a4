"""Vector instructions in Numba's kernels, where the choice of registers cannot be left to the compiler.

A product is at the processor's peak only if a tile of its sums stays in registers throughout. Numba's loops
cannot say so; LLVM's vectors can. Where the processor's registers are narrower, LLVM takes several.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
"""Numbers in a vector."""

SQUARE = 8
"""Rows and columns of the squares that are transposed in registers."""

FLOAT, INTEGER, INDEX = ir.FloatType(), ir.IntType(32), ir.IntType(64)

POWER_OF_TWO = (
    1.0000000716507098,
    0.6931469670520451,
    0.24022119726829713,
    0.0555071328504466,
    0.009675541346834411,
    0.0013276469864102302,
)
"""The polynomial nearest to 2ˣ for x in ±½ (Remez 1934): a relative error of at most 7.5e-8."""


@dataclass(frozen=True)
class Whole:
    """A whole number that the kernel knows when it runs."""

    builder: Any
    value: Any

    def __add__(self, other: Whole | int) -> Whole:
        return Whole(self.builder, self.builder.add(self.value, index_value(other)))

    def __sub__(self, other: Whole | int) -> Whole:
        return Whole(self.builder, self.builder.sub(self.value, index_value(other)))

    def __mul__(self, other: Whole | int) -> Whole:
        return Whole(self.builder, self.builder.mul(self.value, index_value(other)))

    def at_most(self, other: Whole) -> Whole:
        smaller = self.builder.icmp_signed("<", self.value, other.value)
        return Whole(self.builder, self.builder.select(smaller, self.value, other.value))

    @contextmanager
    def steps(self, step: int = 1) -> Iterator[Whole]:
        """Repeat what is emitted within, for 0, step, … below this number, which is a multiple of it."""
        times = self.builder.sdiv(self.value, index_value(step))
        with cgutils.for_range(self.builder, times, intp=INDEX) as loop:
            yield Whole(self.builder, loop.index) * step

    def each(self, emit: Callable[[Whole], None], unrolled: int) -> None:
        """Repeat what a function emits for 0, 1, … below this number; so many, a power of two, in a turn.

        The end of a loop of few turns is mispredicted each time.
        """
        mask = self.builder.and_(self.value, ir.Constant(INDEX, -unrolled))
        most = Whole(self.builder, mask)
        with most.steps(unrolled) as first:
            for index in range(unrolled):
                emit(first + index)
        with (self - most).steps() as index:
            emit(most + index)

    @contextmanager
    def if_at_most(self, other: Whole) -> Iterator[None]:
        with self.builder.if_then(self.builder.icmp_signed("<=", self.value, other.value)):
            yield


@dataclass(frozen=True)
class Number:
    """A float32."""

    builder: Any
    value: Any

    def vector(self, lanes: int = LANES) -> Vector:
        """It in every lane."""
        undefined = ir.Constant(ir.VectorType(FLOAT, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, self.value, ir.Constant(INTEGER, 0))
        return Vector(self.builder, first).shuffled(Vector(self.builder, undefined), [0] * lanes)


@dataclass(frozen=True)
class Pointer:
    """To a float32 in an array; indices count from there."""

    builder: Any
    value: Any

    def number(self, index: Whole) -> Number:
        return Number(self.builder, self.builder.load(self.builder.gep(self.value, [index.value])))

    def vector(self, index: Whole | int, lanes: int = LANES) -> Vector:
        return Vector(self.builder, self.builder.load(self._address(index, lanes), align=4))

    def put(self, vector: Vector, index: Whole | int) -> None:
        self.builder.store(vector.value, self._address(index, vector.lanes), align=4)

    def _address(self, index: Whole | int, lanes: int) -> Any:
        first = self.builder.gep(self.value, [index_value(index)])
        return self.builder.bitcast(first, ir.VectorType(FLOAT, lanes).as_pointer())


@dataclass(frozen=True)
class Vector:
    """Some float32 side by side."""

    builder: Any
    value: Any

    @property
    def lanes(self) -> int:
        return self.value.type.count

    def constant(self, number: float) -> Vector:
        """Another one, with the same number in every lane."""
        return Vector(self.builder, ir.Constant(self.value.type, [number] * self.lanes))

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fmul(self.value, other.value))

    def __truediv__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fdiv(self.value, other.value))

    def times(self, other: Vector, *, plus: Vector) -> Vector:
        """self · other + plus, in one instruction where there is one."""
        return self.call("fmuladd", other, plus)

    def call(self, name: str, *others: Vector) -> Vector:
        """One of LLVM's own functions of vectors."""
        kind, operands = self.value.type, [self.value, *(each.value for each in others)]
        signature = ir.FunctionType(kind, [kind] * len(operands))
        full_name = f"llvm.{name}.v{self.lanes}f32"
        function = cgutils.get_or_insert_function(self.builder.module, signature, full_name)
        return Vector(self.builder, self.builder.call(function, operands))

    def maximum(self, other: Vector) -> Vector:
        """The larger one; the other one if one of them is NaN."""
        larger = self.builder.fcmp_ordered(">", self.value, other.value)
        return Vector(self.builder, self.builder.select(larger, self.value, other.value))

    def power_of_two(self) -> Vector:
        """2ˣ for x ≤ 0, to 1e-7; where x is below -126 it is 2⁻¹²⁶, where it is NaN, NaN."""
        x = self.constant(-126.0).maximum(self)
        whole = x.call("nearbyint")
        rest = x - whole  # in ±½
        power = self.constant(POWER_OF_TWO[-1])
        for coefficient in POWER_OF_TWO[-2::-1]:
            power = power.times(rest, plus=self.constant(coefficient))
        integers = ir.VectorType(INTEGER, self.lanes)
        exponent = self.builder.fptosi(whole.value, integers)
        exponent = self.builder.shl(exponent, ir.Constant(integers, [23] * self.lanes))
        bits = self.builder.add(self.builder.bitcast(power.value, integers), exponent)
        return Vector(self.builder, self.builder.bitcast(bits, self.value.type))

    def shuffled(self, other: Vector, lanes: list[int]) -> Vector:
        """Some lanes of both; the other one's count on from this one's."""
        mask = ir.Constant(ir.VectorType(INTEGER, len(lanes)), lanes)
        return Vector(self.builder, self.builder.shuffle_vector(self.value, other.value, mask))


class Register:
    """Keeps a vector from one turn of a loop to the next: in a register, if there are enough."""

    def __init__(self, vector: Vector) -> None:
        self.builder = vector.builder
        self.place = cgutils.alloca_once_value(self.builder, vector.value)

    @property
    def vector(self) -> Vector:
        return Vector(self.builder, self.builder.load(self.place))

    @vector.setter
    def vector(self, vector: Vector) -> None:
        self.builder.store(vector.value, self.place)


def index_value(number: Whole | int) -> Any:
    return number.value if isinstance(number, Whole) else ir.Constant(INDEX, number)


def transposed(rows: list[Vector]) -> list[Vector]:
    """The columns of eight vectors of eight: pairs, fours and halves change places in turn."""
    lanes = range(SQUARE)
    for width in (1, 2, 4):
        even = [lane - width + SQUARE if lane & width else lane for lane in lanes]
        odd = [lane + SQUARE if lane & width else lane + width for lane in lanes]
        mixed = list(rows)
        for row in (row for row in range(SQUARE) if not row & width):
            mixed[row] = rows[row].shuffled(rows[row + width], even)
            mixed[row + width] = rows[row].shuffled(rows[row + width], odd)
        rows = mixed
    return rows


KINDS = {kind.__name__: kind for kind in (Whole, Number, Pointer)}


def vector_code(emit: Callable[..., None]) -> Any:
    """Make a function that emits instructions one that kernels can call.

    Args:
        emit: takes `Whole`, `Number` and `Pointer`, as annotated. For a pointer the kernel passes an array
            and, after it, the index to begin at.
    """
    kinds = [KINDS[each.annotation] for each in inspect.signature(emit).parameters.values()]

    def define(_typing_context: Any, *types: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            passed = iter(zip(signature.args, values, strict=True))
            arguments = []
            for kind in kinds:
                type_, value = next(passed)
                if kind is Pointer:
                    _, index = next(passed)
                    value = builder.gep(context.make_array(type_)(context, builder, value).data, [index])
                arguments.append(kind(builder, value))
            emit(*arguments)
            return context.get_dummy_value()

        return numba.types.none(*types), generate

    count = 1 + len(kinds) + kinds.count(Pointer)  # Numba asks for the number of parameters
    position = inspect.Parameter.POSITIONAL_ONLY
    names = (inspect.Parameter(f"argument{index}", position) for index in range(count))
    vars(define)["__signature__"] = inspect.Signature([*names])
    return intrinsic(define)
