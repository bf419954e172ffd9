"""Kernel ``scan``: the similarity of every centroid with every query lane, by the byte product.

Writes the table of similarities ``(centroids, lanes)`` as float32 (scoring needs it) and as int8 (the centroid
interaction reads it fast), and the largest of each 16 consecutive centroids (which ``probe`` selects by).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from colstore.kernels.sources.build import compiled
from colstore.kernels.sources.simd import F32, I8, VECTOR_WIDTH, ByteProducts, Emitter, size

GROUP = 16
ROWS = {1: 8, 2: 4, 3: 4, 4: 2}


def build(*, dim: int, vectors: int, flavour: str) -> Any:  # noqa: ANN401
    """Compile for one dimension and number of lane vectors."""
    all_of = _all(dim, vectors, flavour)

    @compiled("u8 int i8 f32 f32 f32 f32 i8 f32 f32")
    def scan(
        centroids: Any, count: Any, query: Any, factor: Any, offset: Any, byte_scale: Any,
        table: Any, byte_table: Any, group_best: Any, _unused: Any,
    ) -> None:  # fmt: skip
        all_of(centroids, count, query, factor, offset, byte_scale, table, byte_table, group_best)

    return scan


def _all(dim: int, vectors: int, flavour: str) -> Any:  # noqa: ANN401
    width = VECTOR_WIDTH[flavour]
    lanes = width * vectors
    rows = ROWS[vectors]
    real, bytes_ = ir.VectorType(F32, width), ir.VectorType(I8, width)

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def all_of(
        _context: Any, centroids: Any, count: Any, query: Any, factor: Any, offset: Any, byte_scale: Any,
        table: Any, byte_table: Any, group_best: Any,
    ) -> Any:  # fmt: skip  # noqa: ANN401
        signature = types.void(centroids, types.intp, query, factor, offset, byte_scale, table, byte_table, group_best)

        def codegen(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            e = Emitter(b)
            raw = [b.bitcast(a, I8.as_pointer()) if isinstance(a.type, ir.PointerType) else a for a in arguments]
            centroids, count, query, factor, offset, byte_scale, table, byte_table, group_best = raw
            products = ByteProducts(e, flavour, rows, vectors, wide=True)
            lowest = ir.Constant(real, [float("-inf")] * width)
            best = [e.slot(real) for _ in range(vectors)]
            last = b.sub(count, size(1))
            with cgutils.for_range(b, b.sdiv(b.add(count, size(GROUP - 1)), size(GROUP))) as group:
                for v in range(vectors):
                    b.store(lowest, best[v])
                with cgutils.for_range(b, size(GROUP // rows)) as tile:
                    start = b.add(b.mul(group.index, size(GROUP)), b.mul(tile.index, size(rows)))
                    at = [e.smaller(b.add(start, size(r)), last) for r in range(rows)]
                    sums = products.run([b.gep(centroids, [b.mul(i, size(dim))]) for i in at], query, dim // 4, size(1))
                    for r in range(rows):
                        for v in range(vectors):
                            place = b.add(b.mul(at[r], size(lanes)), size(v * width))
                            whole = b.sitofp(b.load(sums[r * vectors + v]), real)
                            value = e.multiply_add(
                                whole, e.load(factor, size(4 * v * width), real), e.load(offset, size(4 * v * width), real)
                            )
                            e.store(value, table, b.mul(place, size(4)))
                            e.store(_to_bytes(b, e, value, byte_scale, v, width, bytes_), byte_table, place)
                            kept = b.load(best[v])
                            b.store(b.select(b.fcmp_ordered(">", value, kept), value, kept), best[v])
                for v in range(vectors):
                    e.store(b.load(best[v]), group_best, b.mul(b.add(b.mul(group.index, size(lanes)), size(v * width)), size(4)))
            return context.get_dummy_value()

        return signature, codegen

    return all_of


def _to_bytes(b: Any, e: Emitter, value: Any, byte_scale: Any, v: int, width: int, kind: Any) -> Any:  # noqa: ANN401
    real = value.type
    scaled = b.fmul(value, e.load(byte_scale, size(4 * v * width), real))
    high, low = ir.Constant(real, [127.0] * width), ir.Constant(real, [-127.0] * width)
    scaled = b.select(b.fcmp_ordered("<", scaled, high), scaled, high)
    scaled = b.select(b.fcmp_ordered(">", scaled, low), scaled, low)
    return b.fptosi(scaled, kind)
