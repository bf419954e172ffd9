"""Kernel ``dense``: MaxSim of documents from float16 vectors, in float32."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from colstore.kernels.sources.build import compiled, shifted
from colstore.kernels.sources.simd import F32, I8, I16, I32, Emitter, size

ROWS = {1: 6, 2: 4, 3: 3, 4: 2}
WIDTH = 8


def build(*, dim: int, vectors: int) -> Any:  # noqa: ANN401
    """Compile for one dimension (a multiple of 8) and number of vectors of eight query lanes."""
    best_of = _document(dim, vectors)
    lanes = vectors * WIDTH

    @compiled("u16 i64 i64 int f32 int f32 i32")
    def dense(
        payload: Any, starts: Any, stops: Any, documents: Any, query: Any, used: Any, scores: Any, tokens: Any
    ) -> None:
        best = shifted(scores, documents)  # the caller leaves room for one row of lanes behind the scores
        for d in range(documents):
            best_of(
                shifted(payload, starts[d] * dim), stops[d] - starts[d], query, best, shifted(tokens, d * lanes)
            )  # fmt: skip
            total = types.float32(0)
            for lane in range(used):
                total += best[lane]
            scores[d] = total

    return dense


def _document(dim: int, vectors: int) -> Any:  # noqa: ANN401
    rows = ROWS[vectors]
    real, whole, halves = ir.VectorType(F32, WIDTH), ir.VectorType(I32, WIDTH), ir.VectorType(I16, WIDTH)

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def best_of(_context: Any, payload: Any, count: Any, query: Any, best: Any, tokens: Any) -> Any:  # noqa: ANN401
        signature = types.void(payload, types.intp, query, best, tokens)

        def codegen(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            e = Emitter(b)
            raw = [b.bitcast(a, I8.as_pointer()) if isinstance(a.type, ir.PointerType) else a for a in arguments]
            payload, count, query, best, tokens = raw
            floats = [b.bitcast(e.slot(ir.ArrayType(F32, dim)), I8.as_pointer()) for _ in range(rows)]
            sums = [e.slot(real) for _ in range(rows * vectors)]
            top = [e.slot(real) for _ in range(vectors)]
            where = [e.slot(whole) for _ in range(vectors)]
            for v in range(vectors):
                b.store(ir.Constant(real, [float("-inf")] * WIDTH), top[v])
                b.store(ir.Constant(whole, [0] * WIDTH), where[v])
            last = b.sub(count, size(1))
            with cgutils.for_range(b, b.sdiv(b.add(count, size(rows - 1)), size(rows))) as tile:
                at = [e.smaller(b.add(b.mul(tile.index, size(rows)), size(r)), last) for r in range(rows)]
                with cgutils.for_range(b, size(dim // WIDTH)) as step:
                    place = b.mul(step.index, size(WIDTH))
                    for r in range(rows):
                        source = b.mul(b.add(b.mul(at[r], size(dim)), place), size(2))
                        e.store(e.half_to_float(e.load(payload, source, halves)), floats[r], b.mul(place, size(4)))
                for slot in sums:
                    b.store(ir.Constant(real, [0.0] * WIDTH), slot)
                with cgutils.for_range(b, size(dim)) as d:
                    base = b.mul(d.index, size(4 * WIDTH * vectors))
                    lanes = [e.load(query, b.add(base, size(4 * WIDTH * v)), real) for v in range(vectors)]
                    for r in range(rows):
                        x = e.splat(e.load(floats[r], b.mul(d.index, size(4)), F32), WIDTH)
                        for v in range(vectors):
                            slot = sums[r * vectors + v]
                            b.store(e.multiply_add(x, lanes[v], b.load(slot)), slot)
                for r in range(rows):
                    index = e.splat(b.trunc(at[r], I32), WIDTH)
                    for v in range(vectors):
                        value = b.load(sums[r * vectors + v])
                        better = b.fcmp_ordered(">", value, b.load(top[v]))
                        b.store(b.select(better, value, b.load(top[v])), top[v])
                        b.store(b.select(better, index, b.load(where[v])), where[v])
            for v in range(vectors):
                e.store(b.load(top[v]), best, size(4 * WIDTH * v))
                e.store(b.load(where[v]), tokens, size(4 * WIDTH * v))
            return context.get_dummy_value()

        return signature, codegen

    return best_of
