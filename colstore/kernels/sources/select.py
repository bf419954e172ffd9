"""Kernel ``select``: the positions of (about) the ``k`` largest of many values, by a histogram.

It selects all values in the bins above the cut and, in order of position, as many of those in the bin at the cut as
are still needed. The positions are returned in ascending order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from colstore.kernels.layout import BINS
from colstore.kernels.sources.compile import compiled


@register_jitable
def _bin(value: Any, low: Any, scale: Any) -> Any:
    """Return the bin of a value. It is always a valid bin, even after rounding or with an infinite scale."""
    position = (value - low) * scale
    if not position > 0:
        return 0
    return int(min(position, types.float32(BINS - 1)))


def build() -> Any:
    """Compile once."""

    @compiled("f32 i64 int int i32 i64")
    def select(values: Any, histogram: Any, count: Any, k: Any, positions: Any, selected: Any) -> None:
        low = types.float32(np.inf)
        high = types.float32(-np.inf)
        for i in range(count):
            low = min(low, values[i])
            high = max(high, values[i])
        scale = types.float32(BINS - 1) / (high - low)
        for b in range(BINS):
            histogram[b] = 0
        for i in range(count):
            histogram[_bin(values[i], low, scale)] += 1
        cut = BINS - 1
        above = 0
        while cut > 0 and above + histogram[cut] < k:
            above += histogram[cut]
            cut -= 1
        spare = k - above
        n = 0
        for i in range(count):
            b = _bin(values[i], low, scale)
            if b > cut:
                positions[n] = i
                n += 1
            elif b == cut and spare > 0:
                positions[n] = i
                n += 1
                spare -= 1
        selected[0] = n

    return select
