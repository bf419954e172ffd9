"""Kernel ``scan``: the similarity of every centroid with every query lane, by the byte product.

It writes the table of similarities ``(centroids, lanes)`` as float32 for scoring and as int8 for the centroid
interaction, and the largest similarity of each 16 consecutive centroids, by which ``probe`` selects.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from colstore.kernels.layout import GROUP, WIDTHS
from colstore.kernels.sources.byte_products import ByteProducts
from colstore.kernels.sources.compile import compiled, shifted
from colstore.kernels.sources.emit import F32, I8, Emitter, emitted, filled, size

ROWS = {1: 8, 2: 4, 3: 4, 4: 2}
"""Centroids processed at a time, by the number of lane vectors."""


def build(*, dim: int, vectors: int, flavour: str) -> Any:
    """Compile for one dimension and number of lane vectors."""
    width = WIDTHS[flavour]
    lanes = width * vectors
    real = ir.VectorType(F32, width)

    @emitted
    def group(
        e: Emitter,
        centroids: Any,
        first: Any,
        last: Any,
        query: Any,
        factor: Any,
        offset: Any,
        byte_scale: Any,
        table: Any,
        coarse: Any,
        group_best: Any,
    ) -> None:
        b = e.builder
        products = ByteProducts(e, flavour, ROWS[vectors], vectors, wide=True)
        best = e.slots(real, vectors, float("-inf"))
        factors, offsets, scales = (_lanes(e, row, real, vectors) for row in (factor, offset, byte_scale))
        with e.counted(size(GROUP // ROWS[vectors])) as tile:
            start = b.add(first, b.mul(tile, size(ROWS[vectors])))
            at = [e.smaller(b.add(start, size(r)), last) for r in range(ROWS[vectors])]
            sums = products.run([b.gep(centroids, [b.mul(i, size(dim))]) for i in at], query, dim // 4, size(1))
            for number, row in zip(at, sums, strict=True):
                for v, whole in enumerate(row):
                    value = e.multiply_add(b.sitofp(whole, real), factors[v], offsets[v])
                    position = b.add(b.mul(number, size(lanes)), size(v * width))
                    e.store(value, table, b.mul(position, size(4)))
                    e.store(_to_bytes(e, b.fmul(value, scales[v])), coarse, position)
                    e.keep(">", value, best[v])
        for v, slot in enumerate(best):
            e.store(b.load(slot), group_best, size(4 * width * v))

    @compiled("u8 int i8 f32 f32 f32 f32 i8 f32")
    def scan(
        centroids: Any,
        count: Any,
        query: Any,
        factor: Any,
        offset: Any,
        byte_scale: Any,
        table: Any,
        coarse: Any,
        group_best: Any,
    ) -> None:
        for number in range((count + GROUP - 1) // GROUP):
            best = shifted(group_best, number * lanes)
            group(centroids, number * GROUP, count - 1, query, factor, offset, byte_scale, table, coarse, best)

    return scan


def _lanes(e: Emitter, row: Any, kind: Any, vectors: int) -> list[Any]:
    return [e.load(row, size(4 * kind.count * v), kind) for v in range(vectors)]


def _to_bytes(e: Emitter, value: Any) -> Any:
    """Clip to -127..127 and truncate to int8."""
    b = e.builder
    for sign, bound in (("<", 127.0), (">", -127.0)):
        limit = filled(value.type, bound)
        value = b.select(b.fcmp_ordered(sign, value, limit), value, limit)
    return b.fptosi(value, ir.VectorType(I8, value.type.count))
