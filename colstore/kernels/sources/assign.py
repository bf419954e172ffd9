"""Kernel ``assign``: the nearest centroid of each token, by brute force in integers.

The byte product turned round: 32 tokens, rounded to bytes, lie in the lanes, and the centroids stream past as
codes. The offset of the codes adds the same to all products of a token, so the largest integer is the nearest
centroid; among equals, the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from colstore.kernels.layout import WIDTHS
from colstore.kernels.sources.compile import compiled, shifted
from colstore.kernels.sources.emit import I32, Emitter, LaneBest, emitted, size
from colstore.kernels.sources.products import ByteProducts

LANES = 32
ROWS = 2


def build(*, dim: int, flavour: str) -> Any:
    """Compile for one dimension."""
    nearest = _nearest(dim, flavour)
    spread = _spread(dim)

    @compiled("f32 u8 int int i8 i8 i32 i32", fastmath={"nnan", "nsz"})
    def assign(
        tokens: Any,
        centroids: Any,
        count: Any,
        number: Any,
        rounded: Any,
        layout: Any,
        codes: Any,
        products: Any,
    ) -> None:
        # rounded: dim bytes; layout: LANES * dim bytes; codes and products: room for LANES more than count
        for first in range(0, count, LANES):
            for lane in range(LANES):
                token = shifted(tokens, min(first + lane, count - 1) * dim)
                largest = types.float32(1e-30)
                for j in range(dim):
                    largest = max(largest, abs(token[j]))
                scale = types.float32(127) / largest
                for j in range(dim):
                    rounded[j] = types.int8(types.int32(np.rint(token[j] * scale)))
                spread(rounded, layout, lane)
            nearest(centroids, number, layout, shifted(codes, first), shifted(products, first))

    return assign


def _spread(dim: int) -> Any:
    @emitted
    def spread(e: Emitter, rounded: Any, layout: Any, lane: Any) -> None:
        """Put the bytes of one token into its lane, four dimensions at a time."""
        b = e.builder
        place = b.mul(lane, size(4))
        with e.counted(size(dim // 4)) as group:
            four = e.load(rounded, b.mul(group, size(4)), I32)
            e.store(four, layout, b.add(b.mul(group, size(4 * LANES)), place))

    return spread


def _nearest(dim: int, flavour: str) -> Any:
    vectors = LANES // WIDTHS[flavour]
    whole = ir.VectorType(I32, WIDTHS[flavour])

    @emitted
    def nearest(e: Emitter, centroids: Any, number: Any, layout: Any, codes: Any, products: Any) -> None:
        b = e.builder
        tile = ByteProducts(e, flavour, ROWS, vectors, wide=True)
        best = LaneBest(e, whole, vectors)
        with e.tiles(number, ROWS) as rows:
            starts = [b.gep(centroids, [b.mul(row, size(dim))]) for row in rows]
            for row, sums in zip(rows, tile.run(starts, layout, dim // 4, size(1)), strict=True):
                best.offer(sums, row)
        best.write(products, codes)

    return nearest
