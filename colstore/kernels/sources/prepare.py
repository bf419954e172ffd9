"""Kernel ``prepare``: rotate a query, round it to bytes in the layout of the byte product, and bound its sums.

Every sum has a fixed order, so that the bytes of a query do not depend on other queries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from colstore.kernels.layout import CENTROID_MIDDLE, SMALLEST
from colstore.kernels.sources.compile import compiled, root, shifted
from colstore.kernels.sources.rotate import rotate_rows


@register_jitable
def _measure(row: Any, dim: Any) -> Any:
    """Return the largest magnitude, the sum of squares and the sum of one row."""
    largest = types.float32(0)
    squares = types.float32(0)
    total = types.float32(0)
    for o in range(dim):
        x = row[o]
        largest = max(largest, abs(x))
        squares += x * x
        total += x
    return largest, squares, total


@register_jitable
def _round(row: Any, dim: Any, step: Any, layout: Any, lanes: Any) -> Any:
    """Write the bytes of one lane, and return their sum."""
    whole = 0
    for o in range(dim):
        byte = int(np.rint(row[o] / step))
        whole += byte
        layout[o // 4 * lanes * 4 + o % 4] = types.int8(byte)
    return whole


@register_jitable
def _largest_block(pair: Any, groups: Any, run: Any, stride: Any) -> Any:
    """Return the largest sum of the bytes of one pair within ``run`` groups, of either sign, as a magnitude."""
    worst = 0
    for first in range(0, groups, run):
        above = 0
        below = 0
        for group in range(first, min(first + run, groups)):
            for k in range(2):
                byte = int(pair[group * stride + k])
                above += max(byte, 0)
                below -= min(byte, 0)
        worst = max(worst, max(above, below))
    return worst


@register_jitable
def _longest_safe_run(layout: Any, lanes: Any, groups: Any, largest_code: Any) -> Any:
    """Return the number of groups of dimensions whose sums of pairs are certain to fit into 16 bits."""
    run = groups
    while run > 1:
        worst = 0
        for pair in range(lanes * 2):
            worst = max(worst, _largest_block(shifted(layout, pair * 2), groups, run, lanes * 4))
        if worst * largest_code <= 32767:
            return run
        run = (run + 1) // 2
    return 1


def build() -> Any:
    """Compile for every dimension and number of lanes."""

    @compiled("f32 f32 int int int int int float f32 i8 f32 i64")
    def prepare(
        query: Any,
        rotation: Any,
        tokens: Any,
        dim_in: Any,
        dim: Any,
        lanes: Any,
        top: Any,
        centroid_scale: Any,
        rotated: Any,
        layout: Any,
        rows: Any,
        flush: Any,
    ) -> None:
        # top is the largest residual code; layout and rows are initialised with zeros
        rotate_rows(query, tokens, rotation, dim_in, dim, rotated)
        factor, bias = rows, shifted(rows, lanes)
        centroid_factor, centroid_offset = shifted(rows, 2 * lanes), shifted(rows, 3 * lanes)
        sums, norms = shifted(rows, 4 * lanes), shifted(rows, 5 * lanes)
        middle = types.float32(0.5) * types.float32(top)
        for lane in range(tokens):
            row = shifted(rotated, lane * dim)
            largest, squares, total = _measure(row, dim)
            sums[lane] = total
            norms[lane] = root(squares)
            if largest > types.float32(SMALLEST):
                step = largest / types.float32(127)
                whole = types.float32(_round(row, dim, step, shifted(layout, lane * 4), lanes))
                factor[lane] = step
                bias[lane] = -middle * step * whole
                centroid_factor[lane] = centroid_scale * step
                centroid_offset[lane] = types.float32(-CENTROID_MIDDLE) * centroid_scale * step * whole
        flush[0] = _longest_safe_run(layout, lanes, dim // 4, min(top, 15))

    return prepare
