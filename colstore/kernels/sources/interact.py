"""Kernel ``interact``: the MaxSim of documents with their tokens replaced by centroids, by the byte table.

It takes one load and one maximum for each token, and is two orders of magnitude cheaper than scoring the residuals
(PLAID's centroid interaction, arXiv 2205.09707, section 4.2).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from colstore.kernels.sources.compile import UNSIGNED, compiled, shifted
from colstore.kernels.sources.emit import I8, I64, Emitter, emitted, filled, size


def build(*, lanes: int, code_bytes: int) -> Any:
    """Compile for one number of lanes and width of codes."""
    kind = ir.VectorType(I8, lanes)

    @emitted
    def best_of(e: Emitter, codes: Any, count: Any, table: Any, best: Any) -> None:
        b = e.builder
        top = e.slot(kind)
        b.store(filled(kind, -128), top)
        with e.counted(count) as token:
            code = e.load(codes, b.mul(token, size(code_bytes)), ir.IntType(8 * code_bytes))
            row = e.load(table, b.mul(b.zext(code, I64), size(lanes)), kind)
            held = b.load(top)
            b.store(b.select(b.icmp_signed(">", row, held), row, held), top)
        e.store(b.load(top), best, size(0))

    @compiled(f"{UNSIGNED[code_bytes]} i64 i64 int i8 f32 int i8 f32")
    def interact(
        codes: Any,
        starts: Any,
        stops: Any,
        documents: Any,
        table: Any,
        weights: Any,
        used: Any,
        best: Any,
        scores: Any,
    ) -> None:
        # best has space for one row of lanes
        for d in range(documents):
            best_of(shifted(codes, starts[d]), stops[d] - starts[d], table, best)
            total = types.float32(0)
            for lane in range(used):
                total += weights[lane] * types.float32(best[lane])
            scores[d] = total

    return interact
