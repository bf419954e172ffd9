"""Kernel ``score``: MaxSim of documents from their stored codes, unpacked, multiplied and maximised in one pass.

For each token ``t`` and query lane ``l``::

    similarity = scales[t, 0] * table[codes[t], l] + scales[t, 1] * (product * query_scale[l] + bias[l])

where ``product`` is the integer product of the token's residual codes with the query bytes. A document's lane keeps
the largest similarity and the token that had it; the score is the sum over the used lanes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from colstore.kernels.sources.build import compiled, shifted
from colstore.kernels.sources.simd import F32, I8, I16, I32, I64, VECTOR_WIDTH, ByteProducts, Emitter, size, unpack

ROWS = {1: 6, 2: 4, 3: 3, 4: 2}
"""Tokens at a time for so many vectors of lanes: as many accumulators as sixteen registers hold."""


def build(*, bits: int, dim: int, vectors: int, code_bytes: int, flavour: str) -> Any:  # noqa: ANN401
    """Compile for one codec, dimension and number of lane vectors."""
    lanes = vectors * VECTOR_WIDTH[flavour]
    stored = dim * bits // 8
    best_of = _document(bits, dim, vectors, code_bytes, flavour)
    code_type = "u8" if code_bytes == 1 else "u16" if code_bytes == 2 else "u32"

    @compiled(f"u8 {code_type} u16 i64 i64 int i8 f32 f32 f32 int int f32 i32")
    def score(
        payload: Any, codes: Any, scales: Any, starts: Any, stops: Any, documents: Any, query: Any, table: Any,
        query_scale: Any, bias: Any, flush: Any, used: Any, scores: Any, tokens: Any,
    ) -> None:  # fmt: skip
        best = shifted(scores, documents)  # the caller leaves room for one row of lanes behind the scores
        for d in range(documents):
            first = starts[d]
            best_of(
                shifted(payload, first * stored), shifted(codes, first), shifted(scales, 2 * first), stops[d] - first,
                query, table, query_scale, bias, flush, best, shifted(tokens, d * lanes),
            )  # fmt: skip
            total = types.float32(0)
            for lane in range(used):
                total += best[lane]
            scores[d] = total

    return score


def _document(bits: int, dim: int, vectors: int, code_bytes: int, flavour: str) -> Any:  # noqa: ANN401
    width = VECTOR_WIDTH[flavour]
    rows = ROWS[vectors]
    weights = (1, 16) if bits == 8 else (1,)
    real, whole = ir.VectorType(F32, width), ir.VectorType(I32, width)
    stored = dim * bits // 8
    row_bytes = dim * len(weights)

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def best_of(
        _context: Any, payload: Any, codes: Any, scales: Any, count: Any, query: Any, table: Any,
        query_scale: Any, bias: Any, flush: Any, best: Any, tokens: Any,
    ) -> Any:  # fmt: skip  # noqa: ANN401
        signature = types.void(payload, codes, scales, types.intp, query, table, query_scale, bias, types.intp, best, tokens)

        def codegen(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            e = Emitter(b)
            raw = [b.bitcast(a, I8.as_pointer()) if isinstance(a.type, ir.PointerType) else a for a in arguments]
            payload, codes, scales, count, query, table, query_scale, bias, flush, best, tokens = raw
            products = ByteProducts(e, flavour, rows, vectors)
            unpacked = [b.bitcast(e.slot(ir.ArrayType(I8, row_bytes)), I8.as_pointer()) for _ in range(rows)]
            top = [e.variable(ir.Constant(real, [float("-inf")] * width)) for _ in range(vectors)]
            where = [e.variable(ir.Constant(whole, [0] * width)) for _ in range(vectors)]
            # slots are allocated once a function: start each document afresh
            for v in range(vectors):
                b.store(ir.Constant(real, [float("-inf")] * width), top[v])
                b.store(ir.Constant(whole, [0] * width), where[v])
            factor = [e.load(query_scale, size(4 * width * v), real) for v in range(vectors)]
            offset = [e.load(bias, size(4 * width * v), real) for v in range(vectors)]
            last = b.sub(count, size(1))
            with cgutils.for_range(b, b.sdiv(b.add(count, size(rows - 1)), size(rows))) as tile:
                at = [e.smaller(b.add(b.mul(tile.index, size(rows)), size(r)), last) for r in range(rows)]
                for r in range(rows):
                    unpack(e, payload, b.mul(at[r], size(stored)), unpacked[r], bits, dim)
                sums = products.run(unpacked, query, dim // 4, flush, weights)
                for r in range(rows):
                    pair = b.mul(at[r], size(4))
                    outer = e.splat(e.half_to_float(e.load(scales, pair, I16)), width)
                    inner = e.splat(e.half_to_float(e.load(scales, b.add(pair, size(2)), I16)), width)
                    code = e.load(codes, b.mul(at[r], size(code_bytes)), ir.IntType(8 * code_bytes))
                    row = b.mul(b.zext(code, I64), size(4 * width * vectors))
                    index = e.splat(b.trunc(at[r], I32), width)
                    for v in range(vectors):
                        residual = e.multiply_add(b.sitofp(b.load(sums[r * vectors + v]), real), factor[v], offset[v])
                        centroid = b.fmul(outer, e.load(table, b.add(row, size(4 * width * v)), real))
                        similarity = e.multiply_add(inner, residual, centroid)
                        better = b.fcmp_ordered(">", similarity, b.load(top[v]))
                        b.store(b.select(better, similarity, b.load(top[v])), top[v])
                        b.store(b.select(better, index, b.load(where[v])), where[v])
            for v in range(vectors):
                e.store(b.load(top[v]), best, size(4 * width * v))
                e.store(b.load(where[v]), tokens, size(4 * width * v))
            return context.get_dummy_value()

        return signature, codegen

    return best_of
