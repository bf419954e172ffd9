"""Kernel ``probe``: the nearest centroids of each query lane, best first, from the table of ``scan``.

The ``wanted``-th largest of the group maxima can be no larger than the ``wanted``-th largest similarity, so a
threshold found among a sixteenth of the values (by bisection, all lanes at once) admits every centroid that
belongs in the list and few others; those are sorted in by insertion, ties by number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import register_jitable

from colstore.kernels.layout import GROUP
from colstore.kernels.sources.compile import compiled, shifted
from colstore.kernels.sources.emit import F32, I32, Emitter, emitted, filled, size

ROUNDS = 16
WIDTH = 8


@register_jitable
def _insert(value: Any, number: Any, values: Any, chosen: Any, kept: Any, wanted: Any) -> Any:
    """Sort a value in behind its equals, dropping the last if the list is full; return the new length."""
    at = kept if kept < wanted else wanted - 1
    while at > 0 and values[at - 1] < value:
        values[at] = values[at - 1]
        chosen[at] = chosen[at - 1]
        at -= 1
    values[at] = value
    chosen[at] = number
    return min(kept + 1, wanted)


def build(*, lanes: int) -> Any:
    """Compile for one number of lanes."""
    thresholds = _thresholds(lanes)
    nearest = _nearest(lanes)

    @compiled("f32 f32 int int int int i32 f32 i32 f32")
    def probe(
        table: Any,
        group_best: Any,
        count: Any,
        groups: Any,
        used: Any,
        wanted: Any,
        chosen: Any,
        values: Any,
        counts: Any,
        lowest: Any,
    ) -> None:
        # lowest: room for one row of lanes
        thresholds(group_best, groups, wanted, lowest)
        for lane in range(used):
            base = lane * wanted
            counts[lane] = nearest(
                shifted(table, lane),
                shifted(group_best, lane),
                count,
                groups,
                wanted,
                lowest[lane],
                shifted(chosen, base),
                shifted(values, base),
            )

    return probe


def _thresholds(lanes: int) -> Any:
    real, whole = ir.VectorType(F32, WIDTH), ir.VectorType(I32, WIDTH)
    vectors = lanes // WIDTH

    @emitted
    def thresholds(e: Emitter, group_best: Any, groups: Any, wanted: Any, lowest: Any) -> None:
        """Write a value for each lane that at least ``wanted`` of its groups reach."""
        b = e.builder
        low, high = e.slots(real, vectors, float("inf")), e.slots(real, vectors, float("-inf"))
        with e.counted(groups) as group:
            for v, value in enumerate(_row(e, group_best, group, real, vectors)):
                e.keep("<", value, low[v])
                e.keep(">", value, high[v])
        enough = e.splat(b.trunc(wanted, I32), WIDTH)
        with e.counted(size(ROUNDS)):
            middle = [
                b.fmul(filled(real, 0.5), b.fadd(b.load(below), b.load(above)))
                for below, above in zip(low, high, strict=True)
            ]
            hits = e.slots(whole, vectors, 0)
            with e.counted(groups) as group:
                for v, value in enumerate(_row(e, group_best, group, real, vectors)):
                    reached = b.zext(b.fcmp_ordered(">=", value, middle[v]), whole)
                    b.store(b.add(b.load(hits[v]), reached), hits[v])
            for v in range(vectors):
                reached = b.icmp_signed(">=", b.load(hits[v]), enough)
                b.store(b.select(reached, middle[v], b.load(low[v])), low[v])
                b.store(b.select(reached, b.load(high[v]), middle[v]), high[v])
        for v in range(vectors):
            e.store(b.load(low[v]), lowest, size(4 * WIDTH * v))

    return thresholds


def _row(e: Emitter, table: Any, row: Any, kind: Any, vectors: int) -> list[Any]:
    start = e.builder.gep(table, [e.builder.mul(row, size(4 * WIDTH * vectors))])
    return [e.load(start, size(4 * WIDTH * v), kind) for v in range(vectors)]


def _nearest(lanes: int) -> Any:
    @register_jitable
    def nearest(
        table: Any,
        group_best: Any,
        count: Any,
        groups: Any,
        wanted: Any,
        threshold: Any,
        chosen: Any,
        values: Any,
    ) -> Any:
        """Fill the list of one lane, to which the first four pointers point; return its length."""
        if wanted >= groups:
            threshold = types.float32(-np.inf)
        kept = 0
        for g in range(groups):
            if group_best[g * lanes] < threshold:
                continue
            for c in range(g * GROUP, min(g * GROUP + GROUP, count)):
                value = table[c * lanes]
                if value >= threshold and (kept < wanted or value > values[kept - 1]):
                    kept = _insert(value, c, values, chosen, kept, wanted)
        return kept

    return nearest
