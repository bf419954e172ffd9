"""Kernel ``refine``: the float similarity of each query lane with the one token that ``score`` matched it to.

``score`` rounds the query to bytes, which moves a similarity by about a thousandth. The best token is hardly ever
another one for that, so its similarity alone is taken again, with the query and the table in float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from colstore.kernels.sources.build import compiled, half_to_float, shifted
from colstore.kernels.sources.simd import F32, I8, Emitter, size, unpack

WIDTH = 8


def build(*, bits: int, dim: int, code_bytes: int) -> Any:  # noqa: ANN401
    """Compile for one codec and dimension (a multiple of 8)."""
    stored = dim * bits // 8
    code_type = "u8" if code_bytes == 1 else "u16" if code_bytes == 2 else "u32"
    middle = (2**bits - 1) / 2
    real, bytes_ = ir.VectorType(F32, WIDTH), ir.VectorType(I8, WIDTH)

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def products(_context: Any, payload: Any, centroid: Any, query: Any, out: Any) -> Any:  # noqa: ANN401
        signature = types.void(payload, centroid, query, out)

        def codegen(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            e = Emitter(b)
            payload, centroid, query, out = (b.bitcast(a, I8.as_pointer()) for a in arguments)
            row = payload
            if bits < 8:
                row = b.bitcast(e.slot(ir.ArrayType(I8, dim)), I8.as_pointer())
                unpack(e, payload, size(0), row, bits, dim)
            sums = [e.slot(real), e.slot(real)]
            for slot in sums:
                b.store(ir.Constant(real, [0.0] * WIDTH), slot)
            with cgutils.for_range(b, size(dim // WIDTH)) as step:
                place = b.mul(step.index, size(WIDTH))
                lane = e.load(query, b.mul(place, size(4)), real)
                for slot, source in zip(sums, (row, centroid), strict=True):
                    whole = b.uitofp(e.load(source, place, bytes_), real)
                    b.store(e.multiply_add(whole, lane, b.load(slot)), slot)
            for k, slot in enumerate(sums):
                e.store(b.load(slot), out, size(4 * WIDTH * k))
            return context.get_dummy_value()

        return signature, codegen

    @compiled(f"u8 {code_type} u16 i64 i64 i32 int u8 float f32 f32 int f32")
    def refine(
        payload: Any, codes: Any, scales: Any, starts: Any, rows: Any, tokens: Any, documents: Any,
        centroids: Any, centroid_scale: Any, query: Any, sums: Any, shape: Any, scores: Any,
    ) -> None:  # fmt: skip
        # ``shape`` = used lanes * 65536 + lanes of a row of ``tokens``; ``rows`` are the documents' rows there.
        used = shape >> 16
        lanes = shape & 65535
        scratch = shifted(scores, documents)  # the caller leaves room for sixteen floats behind the scores
        for d in range(documents):
            total = types.float32(0)
            for lane in range(used):
                at = starts[d] + tokens[rows[d] * lanes + lane]
                code = int(codes[at])
                products(shifted(payload, at * stored), shifted(centroids, code * dim), shifted(query, lane * dim), scratch)
                residual = types.float32(0)
                centroid = types.float32(0)
                for k in range(8):
                    residual += scratch[k]
                    centroid += scratch[8 + k]
                outer = half_to_float(scales[2 * at])
                inner = half_to_float(scales[2 * at + 1])
                total += outer * centroid_scale * (centroid - types.float32(63) * sums[lane])
                total += inner * (residual - types.float32(middle) * sums[lane])
            scores[d] = total

    return refine
