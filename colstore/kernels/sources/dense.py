"""Kernel ``dense``: the MaxSim of documents by their float16 vectors, computed in float32."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from colstore.kernels.sources.compile import compiled, shifted
from colstore.kernels.sources.emit import F32, I16, Emitter, LaneBest, emitted, size

ROWS = {1: 6, 2: 4, 3: 3, 4: 2}
"""Tokens processed at a time, by the number of lane vectors: the accumulators must fit into sixteen registers."""

WIDTH = 8


def build(*, dim: int, vectors: int) -> Any:
    """Compile for one dimension (a multiple of 8) and number of vectors of eight query lanes."""
    best_of = _document(dim, vectors)
    lanes = vectors * WIDTH

    @compiled("u16 i64 i64 int f32 int f32 i32")
    def dense(
        payload: Any, starts: Any, stops: Any, documents: Any, query: Any, used: Any, scores: Any, tokens: Any
    ) -> None:
        best = shifted(scores, documents)  # the caller allocates space for one row of lanes after the scores
        for d in range(documents):
            first = shifted(payload, starts[d] * dim)
            best_of(first, stops[d] - starts[d], query, best, shifted(tokens, d * lanes))
            total = types.float32(0)
            for lane in range(used):
                total += best[lane]
            scores[d] = total

    return dense


def _document(dim: int, vectors: int) -> Any:
    rows = ROWS[vectors]
    real = ir.VectorType(F32, WIDTH)

    @emitted
    def best_of(e: Emitter, payload: Any, count: Any, query: Any, best: Any, tokens: Any) -> None:
        b = e.builder
        floats = [e.room(F32, dim) for _ in range(rows)]
        top = LaneBest(e, real, vectors)
        with e.tiles(count, rows) as at:
            _to_floats(e, payload, at, floats, dim)
            sums = e.slots(real, rows * vectors, 0.0)
            with e.counted(size(dim)) as d:
                base = b.mul(d, size(4 * WIDTH * vectors))
                lanes = [e.load(query, b.add(base, size(4 * WIDTH * v)), real) for v in range(vectors)]
                for r in range(rows):
                    x = e.splat(e.load(floats[r], b.mul(d, size(4)), F32), WIDTH)
                    for lane, slot in zip(lanes, sums[r * vectors : (r + 1) * vectors], strict=True):
                        b.store(e.multiply_add(x, lane, b.load(slot)), slot)
            for r in range(rows):
                top.offer([b.load(slot) for slot in sums[r * vectors : (r + 1) * vectors]], at[r])
        top.write(best, tokens)

    return best_of


def _to_floats(e: Emitter, payload: Any, rows: list[Any], floats: list[Any], dim: int) -> None:
    b = e.builder
    with e.counted(size(dim // WIDTH)) as step:
        offset = b.mul(step, size(WIDTH))
        for row, target in zip(rows, floats, strict=True):
            source = b.mul(b.add(b.mul(row, size(dim)), offset), size(2))
            halves = e.load(payload, source, ir.VectorType(I16, WIDTH))
            e.store(e.half_to_float(halves), target, b.mul(offset, size(4)))
