"""Kernel ``probe``: the nearest centroids of each query lane, best first, by the table of ``scan``.

The ``nprobe``-th largest of the group maxima is at most the ``nprobe``-th largest similarity. A threshold is therefore
found among the group maxima, a sixteenth of the values, by bisection in all lanes at once. It admits every centroid
that belongs in the list and few others. These are inserted in order, ties by centroid number.
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
def _insert(value: Any, number: Any, values: Any, chosen: Any, length: Any, nprobe: Any) -> Any:
    """Insert a value after its equals, dropping the last one if the list is full; return the new length."""
    at = length if length < nprobe else nprobe - 1
    while at > 0 and values[at - 1] < value:
        values[at] = values[at - 1]
        chosen[at] = chosen[at - 1]
        at -= 1
    values[at] = value
    chosen[at] = number
    return min(length + 1, nprobe)


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
        nprobe: Any,
        chosen: Any,
        values: Any,
        counts: Any,
        lowest: Any,
    ) -> None:
        # lowest has space for one row of lanes
        thresholds(group_best, groups, nprobe, lowest)
        for lane in range(used):
            base = lane * nprobe
            counts[lane] = nearest(
                shifted(table, lane),
                shifted(group_best, lane),
                count,
                groups,
                nprobe,
                lowest[lane],
                shifted(chosen, base),
                shifted(values, base),
            )

    return probe


def _thresholds(lanes: int) -> Any:
    real, whole = ir.VectorType(F32, WIDTH), ir.VectorType(I32, WIDTH)
    vectors = lanes // WIDTH

    @emitted
    def thresholds(e: Emitter, group_best: Any, groups: Any, nprobe: Any, lowest: Any) -> None:
        """Write, for each lane, a value that at least ``nprobe`` of its group maxima reach."""
        b = e.builder
        low, high = e.slots(real, vectors, float("inf")), e.slots(real, vectors, float("-inf"))
        with e.counted(groups) as group:
            for v, value in enumerate(_row(e, group_best, group, real, vectors)):
                e.keep("<", value, low[v])
                e.keep(">", value, high[v])
        enough = e.splat(b.trunc(nprobe, I32), WIDTH)
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
        nprobe: Any,
        threshold: Any,
        chosen: Any,
        values: Any,
    ) -> Any:
        """Fill the list of one lane and return its length. The table and ``group_best`` start at that lane."""
        if nprobe >= groups:
            threshold = types.float32(-np.inf)
        length = 0
        for g in range(groups):
            if group_best[g * lanes] < threshold:
                continue
            for c in range(g * GROUP, min(g * GROUP + GROUP, count)):
                value = table[c * lanes]
                if value >= threshold and (length < nprobe or value > values[length - 1]):
                    length = _insert(value, c, values, chosen, length, nprobe)
        return length

    return nearest
