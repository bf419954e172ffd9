"""Kernel ``score``: the MaxSim of documents by their stored codes, unpacked, multiplied and maximised in one pass.

For each token ``t`` and query lane ``l``::

    similarity = scales[t, 0] * table[codes[t], l] + scales[t, 1] * (product * factor[l] + bias[l])

where ``product`` is the integer product of the token's residual codes with the query bytes. Each lane of a document
records the largest similarity and its token; the score is the sum over the used lanes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from colstore.kernels.layout import WIDTHS
from colstore.kernels.sources.byte_products import ByteProducts, unpack
from colstore.kernels.sources.compile import UNSIGNED, compiled, shifted
from colstore.kernels.sources.emit import F32, I8, I16, I64, Emitter, LaneBest, emitted, size

ROWS = {1: 6, 2: 4, 3: 3, 4: 2}
"""Tokens processed at a time, by the number of lane vectors: the accumulators must fit into sixteen registers."""


def build(*, bits: int, dim: int, vectors: int, code_bytes: int, flavour: str) -> Any:
    """Compile for one codec, dimension and number of lane vectors."""
    lanes = vectors * WIDTHS[flavour]
    stored = dim * bits // 8
    best_of = _document(bits, dim, vectors, code_bytes, flavour)

    @compiled(f"u8 {UNSIGNED[code_bytes]} u16 i64 i64 int i8 f32 f32 f32 int int f32 i32")
    def score(
        payload: Any,
        codes: Any,
        scales: Any,
        starts: Any,
        stops: Any,
        documents: Any,
        query: Any,
        table: Any,
        factor: Any,
        bias: Any,
        flush: Any,
        used: Any,
        scores: Any,
        tokens: Any,
    ) -> None:
        best = shifted(scores, documents)  # the caller allocates space for one row of lanes after the scores
        for d in range(documents):
            first = starts[d]
            best_of(
                shifted(payload, first * stored),
                shifted(codes, first),
                shifted(scales, 2 * first),
                stops[d] - first,
                query,
                table,
                factor,
                bias,
                flush,
                best,
                shifted(tokens, d * lanes),
            )
            total = types.float32(0)
            for lane in range(used):
                total += best[lane]
            scores[d] = total

    return score


def _document(bits: int, dim: int, vectors: int, code_bytes: int, flavour: str) -> Any:
    width = WIDTHS[flavour]
    rows = ROWS[vectors]
    weights = (1, 16) if bits == 8 else (1,)
    real = ir.VectorType(F32, width)

    @emitted
    def best_of(
        e: Emitter,
        payload: Any,
        codes: Any,
        scales: Any,
        count: Any,
        query: Any,
        table: Any,
        factor: Any,
        bias: Any,
        flush: Any,
        best: Any,
        tokens: Any,
    ) -> None:
        b = e.builder
        products = ByteProducts(e, flavour, rows, vectors)
        unpacked = [e.room(I8, dim * len(weights)) for _ in range(rows)]
        top = LaneBest(e, real, vectors)
        factors = [e.load(factor, size(4 * width * v), real) for v in range(vectors)]
        offsets = [e.load(bias, size(4 * width * v), real) for v in range(vectors)]
        with e.tiles(count, rows) as at:
            for number, row in zip(at, unpacked, strict=True):
                unpack(e, b.gep(payload, [b.mul(number, size(dim * bits // 8))]), row, bits, dim)
            sums = products.run(unpacked, query, dim // 4, flush, weights)
            for number, whole in zip(at, sums, strict=True):
                outer, inner = (_scale(e, scales, number, which, width) for which in range(2))
                code = e.load(codes, b.mul(number, size(code_bytes)), ir.IntType(8 * code_bytes))
                nearest = b.gep(table, [b.mul(b.zext(code, I64), size(4 * width * vectors))])
                similarities = []
                for v in range(vectors):
                    residual = e.multiply_add(b.sitofp(whole[v], real), factors[v], offsets[v])
                    centroid = b.fmul(outer, e.load(nearest, size(4 * width * v), real))
                    similarities.append(e.multiply_add(inner, residual, centroid))
                top.offer(similarities, number)
        top.write(best, tokens)

    return best_of


def _scale(e: Emitter, scales: Any, token: Any, which: int, width: int) -> Any:
    b = e.builder
    half = e.load(scales, b.add(b.mul(token, size(4)), size(2 * which)), I16)
    return e.splat(e.half_to_float(half), width)
