"""Kernel ``interact``: MaxSim of documents with each token replaced by its centroid, from the byte table of ``scan``.

One load and one maximum a token: two orders of magnitude cheaper than scoring the residuals (PLAID's centroid
interaction, arXiv 2205.09707, section 4.2).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from colstore.kernels.sources.build import compiled, shifted
from colstore.kernels.sources.simd import I8, I64, Emitter, size


def build(*, lanes: int, code_bytes: int) -> Any:  # noqa: ANN401
    """Compile for one number of lanes and width of codes."""
    code_type = "u8" if code_bytes == 1 else "u16" if code_bytes == 2 else "u32"
    kind = ir.VectorType(I8, lanes)

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def best_of(_context: Any, codes: Any, count: Any, table: Any, best: Any) -> Any:  # noqa: ANN401
        signature = types.void(codes, types.intp, table, best)

        def codegen(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            e = Emitter(b)
            codes, count, table, best = arguments
            codes, table, best = (b.bitcast(p, I8.as_pointer()) for p in (codes, table, best))
            top = e.slot(kind)
            b.store(ir.Constant(kind, [-128] * lanes), top)
            with cgutils.for_range(b, count) as token:
                code = e.load(codes, b.mul(token.index, size(code_bytes)), ir.IntType(8 * code_bytes))
                row = e.load(table, b.mul(b.zext(code, I64), size(lanes)), kind)
                kept = b.load(top)
                b.store(b.select(b.icmp_signed(">", row, kept), row, kept), top)
            e.store(b.load(top), best, size(0))
            return context.get_dummy_value()

        return signature, codegen

    @compiled(f"{code_type} i64 i64 int i8 f32 int f32")
    def interact(
        codes: Any, starts: Any, stops: Any, documents: Any, table: Any, weights: Any, used: Any, scores: Any
    ) -> None:
        for d in range(documents):
            best = shifted(table, -lanes)  # the caller leaves room for one row in front of the table
            best_of(shifted(codes, starts[d]), stops[d] - starts[d], table, best)
            total = types.float32(0)
            for lane in range(used):
                total += weights[lane] * types.float32(best[lane])
            scores[d] = total

    return interact
