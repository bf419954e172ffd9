"""Kernel ``assign``: the nearest centroid of each token, by brute force in integers.

The byte product turned round: 32 tokens, rounded to bytes, lie in the lanes, and the centroids stream past as codes.
The offset of the codes adds the same to all products of a token, so the largest integer is the nearest centroid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from colstore.kernels.sources.build import compiled, shifted
from colstore.kernels.sources.simd import I8, I32, VECTOR_WIDTH, ByteProducts, Emitter, size

LANES = 32
ROWS = 2


def build(*, dim: int, flavour: str) -> Any:  # noqa: ANN401
    """Compile for one dimension."""
    width = VECTOR_WIDTH[flavour]
    vectors = LANES // width
    nearest = _nearest(dim, vectors, flavour)

    @compiled("f32 u8 int int i8 i32 i32")
    def assign(
        tokens: Any, centroids: Any, count: Any, number: Any, layout: Any, codes: Any, products: Any
    ) -> None:
        # layout: LANES * dim bytes; codes and products: room for LANES more than count
        for first in range(0, count, LANES):
            for lane in range(LANES):
                row = min(first + lane, count - 1) * dim
                largest = types.float32(1e-30)
                for j in range(dim):
                    largest = max(largest, abs(tokens[row + j]))
                scale = types.float32(127) / largest
                for j in range(dim):
                    place = (((j // 4) * vectors + lane // width) * width + lane % width) * 4 + j % 4
                    layout[place] = types.int8(np.rint(tokens[row + j] * scale))
            nearest(centroids, number, layout, shifted(codes, first), shifted(products, first))

    return assign


def _nearest(dim: int, vectors: int, flavour: str) -> Any:  # noqa: ANN401
    width = VECTOR_WIDTH[flavour]
    whole = ir.VectorType(I32, width)

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def nearest(_context: Any, centroids: Any, number: Any, layout: Any, codes: Any, products: Any) -> Any:  # noqa: ANN401
        signature = types.void(centroids, types.intp, layout, codes, products)

        def codegen(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            e = Emitter(b)
            raw = [b.bitcast(a, I8.as_pointer()) if isinstance(a.type, ir.PointerType) else a for a in arguments]
            centroids, number, layout, codes, products = raw
            tile = ByteProducts(e, flavour, ROWS, vectors, wide=True)
            top = [e.slot(whole) for _ in range(vectors)]
            where = [e.slot(whole) for _ in range(vectors)]
            for v in range(vectors):
                b.store(ir.Constant(whole, [-(2**31)] * width), top[v])
                b.store(ir.Constant(whole, [0] * width), where[v])
            last = b.sub(number, size(1))
            with cgutils.for_range(b, b.sdiv(b.add(number, size(ROWS - 1)), size(ROWS))) as loop:
                at = [e.smaller(b.add(b.mul(loop.index, size(ROWS)), size(r)), last) for r in range(ROWS)]
                sums = tile.run([b.gep(centroids, [b.mul(i, size(dim))]) for i in at], layout, dim // 4, size(1))
                for r in range(ROWS):
                    index = e.splat(b.trunc(at[r], I32), width)
                    for v in range(vectors):
                        value = b.load(sums[r * vectors + v])
                        better = b.icmp_signed(">", value, b.load(top[v]))
                        b.store(b.select(better, value, b.load(top[v])), top[v])
                        b.store(b.select(better, index, b.load(where[v])), where[v])
            for v in range(vectors):
                e.store(b.load(where[v]), codes, size(4 * width * v))
                e.store(b.load(top[v]), products, size(4 * width * v))
            return context.get_dummy_value()

        return signature, codegen

    return nearest
