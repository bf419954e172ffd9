"""Kernel ``refine``: the float similarity of each query lane with the one token that ``score`` matched it to.

``score`` rounds the query to bytes, which changes a similarity by about a thousandth. This hardly ever changes which
token is the best match, so only the similarity of that token is computed again, with the query in float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from colstore.kernels.layout import CENTROID_MIDDLE
from colstore.kernels.sources.byte_products import unpack
from colstore.kernels.sources.compile import UNSIGNED, compiled, half_to_float, shifted
from colstore.kernels.sources.emit import F32, I8, Emitter, emitted, size

WIDTH = 8


def build(*, bits: int, dim: int, code_bytes: int) -> Any:
    """Compile for one codec and dimension (a multiple of 8)."""
    stored = dim * bits // 8
    middle = (2**bits - 1) / 2
    products = _products(bits, dim)

    @compiled(f"u8 {UNSIGNED[code_bytes]} u16 i64 i64 i32 int u8 float f32 f32 int int f32")
    def refine(
        payload: Any,
        codes: Any,
        scales: Any,
        starts: Any,
        rows: Any,
        tokens: Any,
        documents: Any,
        centroids: Any,
        centroid_scale: Any,
        query: Any,
        sums: Any,
        used: Any,
        lanes: Any,
        scores: Any,
    ) -> None:
        # tokens has rows of ``lanes`` numbers; rows has the row of each document
        scratch = shifted(scores, documents)  # the caller allocates space for sixteen floats after the scores
        for d in range(documents):
            total = types.float32(0)
            for lane in range(used):
                at = starts[d] + tokens[rows[d] * lanes + lane]
                centroid_row = shifted(centroids, int(codes[at]) * dim)
                products(shifted(payload, at * stored), centroid_row, shifted(query, lane * dim), scratch)
                residual = types.float32(0)
                centroid = types.float32(0)
                for k in range(WIDTH):
                    residual += scratch[k]
                    centroid += scratch[WIDTH + k]
                outer = half_to_float(scales[2 * at])
                inner = half_to_float(scales[2 * at + 1])
                total += outer * centroid_scale * (centroid - types.float32(CENTROID_MIDDLE) * sums[lane])
                total += inner * (residual - types.float32(middle) * sums[lane])
            scores[d] = total

    return refine


def _products(bits: int, dim: int) -> Any:
    real, bytes_ = ir.VectorType(F32, WIDTH), ir.VectorType(I8, WIDTH)

    @emitted
    def products(e: Emitter, payload: Any, centroid: Any, query: Any, out: Any) -> None:
        """Write eight partial sums of the product with the residual codes, and eight of that with the centroid."""
        b = e.builder
        row = payload
        if bits < 8:
            row = e.room(I8, dim)
            unpack(e, payload, row, bits, dim)
        sums = e.slots(real, 2, 0.0)
        with e.counted(size(dim // WIDTH)) as step:
            offset = b.mul(step, size(WIDTH))
            lane = e.load(query, b.mul(offset, size(4)), real)
            for slot, source in zip(sums, (row, centroid), strict=True):
                whole = b.uitofp(e.load(source, offset, bytes_), real)
                b.store(e.multiply_add(whole, lane, b.load(slot)), slot)
        for k, slot in enumerate(sums):
            e.store(b.load(slot), out, size(4 * WIDTH * k))

    return products
