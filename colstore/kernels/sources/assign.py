"""Kernel ``assign``: the nearest centroid of each token, by exhaustive comparison in integers.

This is the byte product with the roles exchanged: 32 tokens, rounded to bytes, are in the lanes, and the centroids
take the place of the codes. The offset of the codes adds the same number to all products of a token, so the largest
product belongs to the nearest centroid; among equal products, the first one counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from colstore.kernels.layout import WIDTHS
from colstore.kernels.sources.byte_products import ByteProducts
from colstore.kernels.sources.compile import compiled, shifted
from colstore.kernels.sources.emit import I32, Emitter, LaneBest, emitted, size

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
        # rounded has dim bytes, layout LANES * dim bytes; codes and products have space for count + LANES numbers
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
        """Copy the bytes of one token into its lane, four dimensions at a time."""
        b = e.builder
        offset = b.mul(lane, size(4))
        with e.counted(size(dim // 4)) as group:
            four = e.load(rounded, b.mul(group, size(4)), I32)
            e.store(four, layout, b.add(b.mul(group, size(4 * LANES)), offset))

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
