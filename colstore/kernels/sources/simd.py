"""Vector code: a thin writer of LLVM vector instructions, and the byte product that every integer kernel rests on.

The product multiplies unsigned codes by signed query bytes, four dimensions at a time for ``width`` query lanes at
once (:func:`byte_products`). Its operands lie as

- codes: one byte a dimension, in order;
- query: ``[groups of 4 dimensions][vectors of lanes][width lanes][4 dimensions]``, int8.

Four flavours compute the same integers: AVX512-VNNI, AVX-VNNI, AVX2 (``vpmaddubsw``), and plain vector arithmetic that
LLVM lowers for any processor. AVX2 and the portable flavour add in 16 bits, which can overflow: the caller says after
how many groups (``flush``) the sums must be widened, a bound that ``prepare`` works out for each query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
VECTOR_WIDTH = {"vnni512": 16, "vnni256": 8, "avx2": 8, "portable": 8}


def size(value: int) -> Any:  # noqa: ANN401 - LLVM values have no Python types
    """Return a constant of the pointer-sized integer type."""
    return ir.Constant(I64, value)


class Emitter:
    """Writes vector instructions at the builder's position; offsets are bytes from ``i8*`` pointers."""

    def __init__(self, builder: Any) -> None:  # noqa: ANN401
        self.builder = builder

    def load(self, pointer: Any, offset: Any, kind: Any) -> Any:  # noqa: ANN401
        """Load an unaligned value of type ``kind``."""
        b = self.builder
        loaded = b.load(b.bitcast(b.gep(pointer, [offset]), kind.as_pointer()))
        loaded.align = 1
        return loaded

    def store(self, value: Any, pointer: Any, offset: Any) -> None:  # noqa: ANN401
        """Store an unaligned value."""
        b = self.builder
        stored = b.store(value, b.bitcast(b.gep(pointer, [offset]), value.type.as_pointer()))
        stored.align = 1

    def splat(self, scalar: Any, count: int) -> Any:  # noqa: ANN401
        """Return a vector with the scalar in each of ``count`` lanes."""
        undefined = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, count), [0] * count)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def call(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:  # noqa: ANN401
        """Call an LLVM intrinsic."""
        module = self.builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.builder.call(function, arguments)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:  # noqa: ANN401
        """Return ``a * b + c`` on float vectors, fused where the processor can."""
        return self.call(f"llvm.fmuladd.v{a.type.count}f32", a.type, [a, b, c])

    def half_to_float(self, half: Any) -> Any:  # noqa: ANN401
        """Return float32 of float16 bits, scalar or vector; finite values only."""
        b = self.builder
        vector = isinstance(half.type, ir.VectorType)
        count = half.type.count if vector else 1
        wide = ir.VectorType(I32, count) if vector else I32
        real = ir.VectorType(F32, count) if vector else F32

        def constant(kind: Any, value: float) -> Any:  # noqa: ANN401
            return ir.Constant(kind, [value] * count if vector else value)

        bits = b.zext(half, wide)
        magnitude = b.shl(b.and_(bits, constant(wide, 0x7FFF)), constant(wide, 13))
        value = b.fmul(b.bitcast(magnitude, real), constant(real, 2.0**112))
        sign = b.shl(b.and_(bits, constant(wide, 0x8000)), constant(wide, 16))
        return b.bitcast(b.or_(b.bitcast(value, wide), sign), real)

    def variable(self, value: Any) -> Any:  # noqa: ANN401
        """Return a slot that starts as ``value``; LLVM turns slots into registers."""
        return cgutils.alloca_once_value(self.builder, value)

    def slot(self, kind: Any) -> Any:  # noqa: ANN401
        """Return an uninitialised slot, allocated once a function whatever loop it is asked for in."""
        return cgutils.alloca_once(self.builder, kind)

    def smaller(self, a: Any, b: Any) -> Any:  # noqa: ANN401
        """Return the smaller of two signed integers."""
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)


class ByteProducts:
    """Integer products of ``rows`` of codes with the query lanes.

    Parameters
    ----------
    emitter
        Where to write.
    flavour
        One of :data:`VECTOR_WIDTH`.
    rows, vectors
        Code rows at a time, and vectors of query lanes: ``rows * vectors`` accumulators.
    wide
        Codes may exceed 15 (up to 126): each step is widened at once, and ``flush`` is ignored.
    """

    def __init__(self, emitter: Emitter, flavour: str, rows: int, vectors: int, *, wide: bool = False) -> None:
        self.e, self.flavour, self.rows, self.vectors, self.wide = emitter, flavour, rows, vectors, wide
        self.width = VECTOR_WIDTH[flavour]
        self.bytes = ir.VectorType(I8, 4 * self.width)
        self.sums = ir.VectorType(I32, self.width)
        self.totals = [emitter.slot(self.sums) for _ in range(rows * vectors)]
        self.direct = flavour.startswith("vnni") or (flavour == "avx2" and wide)
        if flavour == "avx2":
            self.narrow = ir.VectorType(I16, 16)
        else:
            self.narrow = ir.VectorType(I32 if wide else I16, 4 * self.width)
        self.partial = [] if self.direct else [emitter.slot(self.narrow) for _ in self.totals]

    def run(self, codes: Sequence[Any], query: Any, groups: int, flush: Any, weights: Sequence[int] = (1,)) -> list[Any]:  # noqa: ANN401
        """Write the product; returns the slots of int32 sums, ``[row][vector]`` flattened.

        ``codes`` are ``i8*`` pointers, one a row, each to ``len(weights)`` planes of ``4 * groups`` bytes; plane ``p``
        counts ``weights[p]`` times.
        """
        b = self.e.builder
        for slot in self.totals:
            b.store(ir.Constant(self.sums, [0] * self.width), slot)
        for plane, weight in enumerate(weights):
            start = [b.gep(pointer, [size(plane * 4 * groups)]) for pointer in codes]
            if self.direct:
                self._direct_plane(start, query, groups, weight)
            else:
                self._flushed_plane(start, query, groups, flush, weight)
        return self.totals

    def _direct_plane(self, codes: Sequence[Any], query: Any, groups: int, weight: int) -> None:  # noqa: ANN401
        """Add straight into 32-bit sums; a weight is applied by summing apart and scaling at the end."""
        b = self.e.builder
        targets = self.totals if weight == 1 else [self.e.slot(self.sums) for _ in self.totals]
        if weight != 1:
            for slot in targets:
                b.store(ir.Constant(self.sums, [0] * self.width), slot)
        with cgutils.for_range(b, size(groups)) as loop:
            self._step(loop.index, codes, query, targets)
        if weight != 1:
            factor = ir.Constant(self.sums, [weight] * self.width)
            for total, part in zip(self.totals, targets, strict=True):
                b.store(b.add(b.load(total), b.mul(b.load(part), factor)), total)

    def _flushed_plane(self, codes: Sequence[Any], query: Any, groups: int, flush: Any, weight: int) -> None:  # noqa: ANN401
        """Add in narrow sums, and widen them every ``flush`` groups."""
        b = self.e.builder
        zero = ir.Constant(self.narrow, [0] * self.narrow.count)
        blocks = b.sdiv(b.sub(b.add(size(groups), flush), size(1)), flush)
        with cgutils.for_range(b, blocks) as block:
            first = b.mul(block.index, flush)
            count = self.e.smaller(flush, b.sub(size(groups), first))
            for slot in self.partial:
                b.store(zero, slot)
            with cgutils.for_range(b, count) as loop:
                self._step(b.add(first, loop.index), codes, query, self.partial)
            for total, part in zip(self.totals, self.partial, strict=True):
                b.store(b.add(b.load(total), self._widen(b.load(part), weight)), total)

    def _step(self, group: Any, codes: Sequence[Any], query: Any, targets: Sequence[Any]) -> None:  # noqa: ANN401
        """Multiply one group of four dimensions of every row with every lane."""
        e, b = self.e, self.e.builder
        base = b.mul(group, size(self.vectors * 4 * self.width))
        lanes = [e.load(query, b.add(base, size(v * 4 * self.width)), self.bytes) for v in range(self.vectors)]
        for row, pointer in enumerate(codes):
            word = e.load(pointer, b.mul(group, size(4)), I32)
            four = b.bitcast(e.splat(word, self.width), self.bytes)
            for v, lane in enumerate(lanes):
                slot = targets[row * self.vectors + v]
                b.store(self._accumulate(b.load(slot), four, lane), slot)

    def _accumulate(self, total: Any, codes: Any, lanes: Any) -> Any:  # noqa: ANN401
        e, b = self.e, self.e.builder
        if self.flavour == "vnni512":
            return e.call("llvm.x86.avx512.vpdpbusd.512", self.sums, [total, codes, lanes])
        if self.flavour == "vnni256":
            return e.call("llvm.x86.avx512.vpdpbusd.256", self.sums, [total, codes, lanes])
        if self.flavour == "avx2":
            pairs = e.call("llvm.x86.avx2.pmadd.ub.sw", ir.VectorType(I16, 16), [codes, lanes])
            return b.add(total, self._pairs(pairs, 1) if self.wide else pairs)
        return b.add(total, b.mul(b.zext(codes, self.narrow), b.sext(lanes, self.narrow)))

    def _pairs(self, shorts: Any, weight: int) -> Any:  # noqa: ANN401
        ones = ir.Constant(ir.VectorType(I16, 16), [weight] * 16)
        return self.e.call("llvm.x86.avx2.pmadd.wd", self.sums, [shorts, ones])

    def _widen(self, partial: Any, weight: int) -> Any:  # noqa: ANN401
        """Add the parts of each lane, in 32 bits, ``weight`` times."""
        b = self.e.builder
        if self.flavour == "avx2":
            return self._pairs(partial, weight)
        vector = partial if self.wide else b.sext(partial, ir.VectorType(I32, partial.type.count))
        while vector.type.count > self.width:
            half = vector.type.count // 2
            even = ir.Constant(ir.VectorType(I32, half), list(range(0, 2 * half, 2)))
            odd = ir.Constant(ir.VectorType(I32, half), list(range(1, 2 * half, 2)))
            undefined = ir.Constant(vector.type, ir.Undefined)
            vector = b.add(b.shuffle_vector(vector, undefined, even), b.shuffle_vector(vector, undefined, odd))
        return b.mul(vector, ir.Constant(self.sums, [weight] * self.width))


def unpack(e: Emitter, packed: Any, offset: Any, row: Any, bits: int, dim: int) -> None:  # noqa: ANN401
    """Write the codes of one token as bytes: plane ``p`` of the packed bits is dimensions ``p * n ... (p + 1) * n - 1``.

    At 8 bits the low halves come first and the high halves behind them, as two planes of ``dim`` bytes.
    """
    b = e.builder
    stored = dim * bits // 8
    step = min(bits, 4)
    position = 0
    while position < stored:
        width = next(w for w in (32, 16, 8, 4) if position + w <= stored)
        kind = ir.VectorType(I8, width)
        piece = e.load(packed, b.add(offset, size(position)), kind)
        for plane in range(8 // step):
            moved = b.lshr(piece, ir.Constant(kind, [plane * step] * width)) if plane else piece
            codes = b.and_(moved, ir.Constant(kind, [(1 << step) - 1] * width))
            e.store(codes, row, size(plane * stored + position))
        position += width
