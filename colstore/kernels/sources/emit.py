"""A thin layer for emitting LLVM vector instructions, and small patterns that several kernels share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


def size(value: int) -> Any:
    """Return a constant of the pointer-sized integer type."""
    return ir.Constant(I64, value)


def filled(kind: Any, value: float) -> Any:
    """Return a constant of a scalar or vector type with ``value`` in every lane."""
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


class Emitter:
    """Emits instructions at the builder's position. Offsets are in bytes from ``i8*`` pointers.

    Parameters
    ----------
    builder
        An llvmlite ``IRBuilder``.
    """

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def load(self, pointer: Any, offset: Any, kind: Any) -> Any:
        """Load an unaligned value of type ``kind``."""
        b = self.builder
        loaded = b.load(b.bitcast(b.gep(pointer, [offset]), kind.as_pointer()))
        loaded.align = 1
        return loaded

    def store(self, value: Any, pointer: Any, offset: Any) -> None:
        """Store an unaligned value."""
        b = self.builder
        stored = b.store(value, b.bitcast(b.gep(pointer, [offset]), value.type.as_pointer()))
        stored.align = 1

    def splat(self, scalar: Any, count: int) -> Any:
        """Return a vector with the scalar in each of ``count`` lanes."""
        undefined = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(first, undefined, filled(ir.VectorType(I32, count), 0))

    def call(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        """Call an LLVM intrinsic."""
        module = self.builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.builder.call(function, arguments)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c`` of float vectors, as a fused operation if the processor has one."""
        return self.call(f"llvm.fmuladd.v{a.type.count}f32", a.type, [a, b, c])

    def half_to_float(self, half: Any) -> Any:
        """Return the float32 of float16 bits, scalar or vector; the values must be finite."""
        b = self.builder
        vector = isinstance(half.type, ir.VectorType)
        wide = ir.VectorType(I32, half.type.count) if vector else I32
        real = ir.VectorType(F32, half.type.count) if vector else F32
        bits = b.zext(half, wide)
        magnitude = b.shl(b.and_(bits, filled(wide, 0x7FFF)), filled(wide, 13))
        value = b.fmul(b.bitcast(magnitude, real), filled(real, 2.0**112))
        sign = b.shl(b.and_(bits, filled(wide, 0x8000)), filled(wide, 16))
        return b.bitcast(b.or_(b.bitcast(value, wide), sign), real)

    def slot(self, kind: Any) -> Any:
        """Return an uninitialised stack slot, allocated once in the function even when requested inside a loop.

        LLVM turns slots into registers.
        """
        return cgutils.alloca_once(self.builder, kind)

    def slots(self, kind: Any, count: int, start: float) -> list[Any]:
        """Return slots that are set to ``start`` each time execution reaches this point."""
        slots = [self.slot(kind) for _ in range(count)]
        for slot in slots:
            self.builder.store(filled(kind, start), slot)
        return slots

    def room(self, kind: Any, count: int) -> Any:
        """Return an ``i8*`` to space for ``count`` values on the stack."""
        return self.builder.bitcast(self.slot(ir.ArrayType(kind, count)), I8.as_pointer())

    def smaller(self, a: Any, b: Any) -> Any:
        """Return the smaller of two signed integers."""
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def keep(self, order: str, value: Any, slot: Any) -> None:
        """Store a float value in the slot, lane by lane, if ``value <order> content`` holds: ``"<"`` or ``">"``."""
        held = self.builder.load(slot)
        better = self.builder.fcmp_ordered(order, value, held)
        self.builder.store(self.builder.select(better, value, held), slot)

    @contextmanager
    def counted(self, count: Any) -> Iterator[Any]:
        """Emit a loop and yield its index."""
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index

    @contextmanager
    def tiles(self, count: Any, rows: int) -> Iterator[list[Any]]:
        """Emit a loop over the numbers below ``count``, ``rows`` at a time, and yield these numbers.

        The last tile repeats the last number instead of exceeding ``count``, so the body of the loop must tolerate
        processing that number twice.
        """
        b = self.builder
        last = b.sub(count, size(1))
        with self.counted(b.sdiv(b.add(count, size(rows - 1)), size(rows))) as tile:
            first = b.mul(tile, size(rows))
            yield [self.smaller(b.add(first, size(r)), last) for r in range(rows)]


class LaneBest:
    """The largest value of each lane so far and its row; among equal values, the first row.

    Parameters
    ----------
    emitter
        Emitter of the instructions.
    kind
        Vector type of the values, with float32 or int32 elements.
    vectors
        Number of such vectors.
    """

    def __init__(self, emitter: Emitter, kind: Any, vectors: int) -> None:
        whole = isinstance(kind.element, ir.IntType)
        self.e, self.width = emitter, kind.count
        self.compare = emitter.builder.icmp_signed if whole else emitter.builder.fcmp_ordered
        self.values = emitter.slots(kind, vectors, -(2**31) if whole else float("-inf"))
        self.rows = emitter.slots(ir.VectorType(I32, kind.count), vectors, 0)

    def offer(self, values: Sequence[Any], row: Any) -> None:
        """Compare the values of the row numbered ``row``, one vector of values for each vector of lanes."""
        b = self.e.builder
        number = self.e.splat(b.trunc(row, I32), self.width)
        for value, best, best_row in zip(values, self.values, self.rows, strict=True):
            better = self.compare(">", value, b.load(best))
            b.store(b.select(better, value, b.load(best)), best)
            b.store(b.select(better, number, b.load(best_row)), best_row)

    def write(self, values: Any, rows: Any) -> None:
        """Store the values and rows, with four bytes for each lane."""
        for v, (best, best_row) in enumerate(zip(self.values, self.rows, strict=True)):
            self.e.store(self.e.builder.load(best), values, size(4 * self.width * v))
            self.e.store(self.e.builder.load(best_row), rows, size(4 * self.width * v))


def emitted(write: Callable[..., None]) -> Any:
    """Turn ``write(emitter, *arguments)`` into a function that kernels can call.

    Pointers are passed as ``i8*`` and integers with 64 bits. The function returns nothing.
    """

    def define(_context: Any, *arguments: Any) -> Any:
        taken = [types.intp if isinstance(a, types.Integer) else a for a in arguments]

        def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            raw = (builder.bitcast(v, I8.as_pointer()) if isinstance(v.type, ir.PointerType) else v for v in values)
            write(Emitter(builder), *raw)
            return context.get_dummy_value()

        return types.void(*taken), codegen

    # numba reads the parameters from the signature, which ``*arguments`` does not provide
    parameters = list(inspect.signature(write).parameters.values())[1:]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    define.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    define.__name__ = write.__name__
    return intrinsic(define)
