"""Kernel ``prepare``: rotate a query, round it to bytes in the layout of the byte product, and bound its sums.

Every sum runs in a fixed order, so that a query's bytes are the same whatever else is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from colstore.kernels.sources.build import compiled


@njit(inline="always")  # type: ignore[untyped-decorator]  # numba ships no types
def _longest_safe_run(layout: Any, lanes: Any, groups: Any, largest_code: Any) -> Any:  # noqa: ANN401
    """Return how many groups of dimensions 16-bit sums of pairs can surely hold."""
    run = groups
    code = min(largest_code, 15)
    while run > 1:
        worst = 0
        for pair in range(lanes * 2):
            above = 0
            below = 0
            for group in range(groups):
                if group % run == 0:
                    above = 0
                    below = 0
                place = group * lanes * 4 + pair * 2
                for k in range(2):
                    byte = int(layout[place + k])
                    above += max(byte, 0)
                    below -= min(byte, 0)
                worst = max(worst, max(above, below))
        if worst * code <= 32767:
            return run
        run = (run + 1) // 2
    return 1


def build() -> Any:  # noqa: ANN401
    """Compile for every dimension and number of lanes."""

    @compiled("f32 f32 int int int int int float float f32 i8 f32 f32 f32 f32 f32 f32 i64")
    def prepare(
        query: Any, rotation: Any, tokens: Any, dim_in: Any, dim: Any, lanes: Any, width: Any,
        middle: Any, centroid_scale: Any,
        rotated: Any, layout: Any, factor: Any, bias: Any, centroid_factor: Any, centroid_offset: Any,
        sums: Any, norms: Any, flush: Any,
    ) -> None:  # fmt: skip
        vectors = lanes // width
        for position in range(lanes * dim):
            layout[position] = types.int8(0)
        for lane in range(lanes):
            factor[lane] = bias[lane] = centroid_factor[lane] = centroid_offset[lane] = types.float32(0)
            sums[lane] = norms[lane] = types.float32(0)
        for lane in range(tokens):
            row = lane * dim
            for o in range(dim):
                rotated[row + o] = types.float32(0)
            for j in range(dim_in):
                x = query[lane * dim_in + j]
                for o in range(dim):
                    rotated[row + o] += x * rotation[j * dim + o]
            largest = types.float32(0)
            squares = types.float32(0)
            plain = types.float32(0)
            for o in range(dim):
                x = rotated[row + o]
                largest = max(largest, abs(x))
                squares += x * x
                plain += x
            step = largest / types.float32(127)
            whole = 0
            if largest > 0:
                for o in range(dim):
                    byte = int(np.rint(rotated[row + o] / step))
                    whole += byte
                    place = (((o // 4) * vectors + lane // width) * width + lane % width) * 4 + o % 4
                    layout[place] = types.int8(byte)
            factor[lane] = step
            bias[lane] = -middle * step * types.float32(whole)
            centroid_factor[lane] = centroid_scale * step
            centroid_offset[lane] = types.float32(-63) * centroid_scale * step * types.float32(whole)
            sums[lane] = plain
            norms[lane] = np.sqrt(squares)
        flush[0] = _longest_safe_run(layout, lanes, dim // 4, types.int64(2 * middle + 1))

    return prepare
