"""Kernel ``select``: the positions of (about) the ``wanted`` largest of many values, by a histogram.

Keeps every value in the bins above the cut and, in order of position, as many of the bin at the cut as fit in
``room``. The order of the result is that of the positions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from colstore.kernels.sources.build import compiled

BINS = 1024


def build() -> Any:  # noqa: ANN401
    """Compile once."""

    @compiled("f32 i64 int int i32 i64")
    def select(values: Any, histogram: Any, count: Any, wanted: Any, positions: Any, kept: Any) -> None:
        low = types.float32(np.inf)
        high = types.float32(-np.inf)
        for i in range(count):
            low = min(low, values[i])
            high = max(high, values[i])
        scale = types.float32(0)
        if high > low:
            scale = types.float32(BINS - 1) / (high - low)
        for b in range(BINS):
            histogram[b] = 0
        for i in range(count):
            histogram[int((values[i] - low) * scale)] += 1
        cut = BINS - 1
        above = 0
        while cut > 0 and above + histogram[cut] < wanted:
            above += histogram[cut]
            cut -= 1
        spare = wanted - above
        n = 0
        for i in range(count):
            b = int((values[i] - low) * scale)
            if b > cut:
                positions[n] = i
                n += 1
            elif b == cut and spare > 0:
                positions[n] = i
                n += 1
                spare -= 1
        kept[0] = n

    return select
