"""Kernel ``probe``: the nearest ``wanted`` centroids of each query lane, best first, from the table of ``scan``.

The ``wanted``-th largest of the group maxima can be no larger than the ``wanted``-th largest similarity, so a threshold
found among a sixteenth of the values (by bisection, all lanes at once) admits every centroid that belongs in the list
and few others; those are sorted in by insertion, ties by number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from colstore.kernels.sources.build import compiled

ROUNDS = 16


def build(*, lanes: int) -> Any:  # noqa: ANN401
    """Compile for one number of lanes."""

    @compiled("f32 f32 int int int int i32 f32 i32 f32")
    def probe(
        table: Any, group_best: Any, count: Any, groups: Any, used: Any, wanted: Any,
        chosen: Any, values: Any, counts: Any, scratch: Any,
    ) -> None:  # fmt: skip
        # scratch: low, high, middle, hits: four rows of lanes
        for lane in range(lanes):
            low = types.float32(np.inf)
            high = types.float32(-np.inf)
            for g in range(groups):
                low = min(low, group_best[g * lanes + lane])
                high = max(high, group_best[g * lanes + lane])
            scratch[lane] = low
            scratch[lanes + lane] = high
        if wanted < groups:
            for _ in range(ROUNDS):
                for lane in range(lanes):
                    scratch[2 * lanes + lane] = types.float32(0.5) * (scratch[lane] + scratch[lanes + lane])
                    scratch[3 * lanes + lane] = types.float32(0)
                for g in range(groups):
                    for lane in range(lanes):
                        if group_best[g * lanes + lane] >= scratch[2 * lanes + lane]:
                            scratch[3 * lanes + lane] += types.float32(1)
                for lane in range(lanes):
                    if scratch[3 * lanes + lane] >= wanted:
                        scratch[lane] = scratch[2 * lanes + lane]
                    else:
                        scratch[lanes + lane] = scratch[2 * lanes + lane]
        for lane in range(used):
            threshold = scratch[lane] if wanted < groups else types.float32(-np.inf)
            kept = 0
            base = lane * wanted
            for g in range(groups):
                if group_best[g * lanes + lane] < threshold:
                    continue
                for c in range(g * 16, min(g * 16 + 16, count)):
                    value = table[c * lanes + lane]
                    if value < threshold or (kept == wanted and value <= values[base + kept - 1]):
                        continue
                    at = kept if kept < wanted else wanted - 1
                    while at > 0 and values[base + at - 1] < value:
                        values[base + at] = values[base + at - 1]
                        chosen[base + at] = chosen[base + at - 1]
                        at -= 1
                    values[base + at] = value
                    chosen[base + at] = c
                    kept = min(kept + 1, wanted)
            counts[lane] = kept

    return probe
