"""Kernel ``rotate``: vectors times a matrix, with each sum computed in the order of its terms.

The rounding of a BLAS product depends on the number of rows, but the stored form of a token must depend only on that
token.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from colstore.kernels.sources.compile import compiled
from colstore.kernels.sources.emit import F32, Emitter, emitted, size

ROWS = 8
WIDTH = 8


@emitted
def rotate_rows(e: Emitter, vectors: Any, count: Any, matrix: Any, dim_in: Any, dim: Any, rotated: Any) -> None:
    """Write ``vectors (count, dim_in) @ matrix (dim_in, dim)``; ``dim`` is a multiple of eight."""
    b = e.builder
    real = ir.VectorType(F32, WIDTH)
    bytes_in, bytes_out = b.mul(dim_in, size(4)), b.mul(dim, size(4))
    with e.tiles(count, ROWS) as rows:
        sources = [b.gep(vectors, [b.mul(row, bytes_in)]) for row in rows]
        targets = [b.gep(rotated, [b.mul(row, bytes_out)]) for row in rows]
        with e.counted(b.sdiv(dim, size(WIDTH))) as column:
            offset = b.mul(column, size(4 * WIDTH))
            sums = e.slots(real, ROWS, 0.0)
            with e.counted(dim_in) as j:
                line = e.load(matrix, b.add(b.mul(j, bytes_out), offset), real)
                for source, slot in zip(sources, sums, strict=True):
                    x = e.splat(e.load(source, b.mul(j, size(4)), F32), WIDTH)
                    b.store(e.multiply_add(x, line, b.load(slot)), slot)
            for target, slot in zip(targets, sums, strict=True):
                e.store(b.load(slot), target, offset)


def build() -> Any:
    """Compile for every output dimension that is a multiple of eight."""

    @compiled("f32 int f32 int int f32")
    def rotate(vectors: Any, count: Any, matrix: Any, dim_in: Any, dim: Any, rotated: Any) -> None:
        rotate_rows(vectors, count, matrix, dim_in, dim, rotated)

    return rotate
