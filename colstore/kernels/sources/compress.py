"""Kernel ``compress``: the residual of each token, quantised on a uniform grid with the step that fits it best.

For a token ``x`` with centroid ``c`` the residual is ``r = x / |x| - c``. Its codes are ``k = round(r / step +
middle)``, clipped, and the grid value of a code is ``u = k - middle``. Of :data:`STEPS` (multiples of the root mean
square of the residual), the step is chosen whose ``u`` has the largest cosine with ``r``, as in extended RaBitQ
(arXiv 2409.09913). Then ``x`` is approximated by ``outer * c + inner * u``, where ``inner / outer`` is the
least-squares length of ``r`` along ``u`` and ``outer`` gives the approximation the length of ``x``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from colstore.kernels.layout import CENTROID_MIDDLE, SMALLEST, STEPS
from colstore.kernels.sources.compile import REASSOCIATE, compiled, root, shifted


def build(*, bits: int, dim: int) -> Any:
    """Compile for one number of bits and dimension."""
    stored = dim * bits // 8
    subtract = _subtract(dim)
    fit = _fit(bits, dim)
    pack = _pack(bits, stored)
    measure = _measure(bits, dim)

    @compiled("f32 u8 i32 float int f32 f32 u8 f32", fastmath=REASSOCIATE)
    def compress(
        tokens: Any,
        centroids: Any,
        codes: Any,
        centroid_scale: Any,
        count: Any,
        nearest: Any,
        residual: Any,
        payload: Any,
        scales: Any,
    ) -> None:
        # nearest and residual have space for one token
        for i in range(count):
            centroid = shifted(centroids, int(codes[i]) * dim)
            length, deviation = subtract(shifted(tokens, i * dim), centroid, centroid_scale, nearest, residual)
            inverse, inner = fit(residual, deviation)
            size = measure(nearest, residual, inverse, inner)
            pack(residual, shifted(payload, i * stored))
            outer = length / max(size, types.float32(SMALLEST))
            scales[2 * i] = outer
            scales[2 * i + 1] = outer * inner

    return compress


def _subtract(dim: int) -> Any:
    @register_jitable
    def subtract(token: Any, centroid: Any, centroid_scale: Any, nearest: Any, residual: Any) -> Any:
        """Write the centroid, and the residual of the token at length 1; return the token's length and deviation."""
        square = types.float32(0)
        for j in range(dim):
            square += token[j] * token[j]
        length = root(square)
        shrink = types.float32(1) / max(length, types.float32(SMALLEST))
        power = types.float32(0)
        for j in range(dim):
            c = centroid_scale * types.float32(types.int32(centroid[j]) - types.int32(CENTROID_MIDDLE))
            r = token[j] * shrink - c
            nearest[j] = c
            residual[j] = r
            power += r * r
        return length, max(root(power / types.float32(dim)), types.float32(1e-20))

    return subtract


def _fit(bits: int, dim: int) -> Any:
    top = np.float32(2**bits - 1)
    middle = np.float32(top / 2)
    steps = tuple(np.float32(s) for s in STEPS[bits])

    @register_jitable
    def fit(residual: Any, deviation: Any) -> Any:
        """Return the inverse of the best step, and the least-squares length of the residual along its grid values."""
        best = types.float32(-1)
        inverse = types.float32(0)
        inner = types.float32(0)
        for s in steps:
            trial = types.float32(1) / (s * deviation)
            along = types.float32(0)
            square = types.float32(0)
            for j in range(dim):
                k = np.rint(residual[j] * trial + middle)
                u = min(max(k, types.float32(0)), top) - middle
                along += residual[j] * u
                square += u * u
            if along * along > best * square:
                best = along * along / square
                inverse = trial
                inner = along / square
        return inverse, inner

    return fit


def _measure(bits: int, dim: int) -> Any:
    top = np.float32(2**bits - 1)
    middle = np.float32(top / 2)

    @register_jitable
    def measure(nearest: Any, residual: Any, inverse: Any, inner: Any) -> Any:
        """Replace the residual by its codes, and return the length of the decoded vector."""
        square = types.float32(0)
        for j in range(dim):
            k = np.rint(residual[j] * inverse + middle)
            k = min(max(k, types.float32(0)), top)
            value = nearest[j] + inner * (k - middle)
            square += value * value
            residual[j] = k
        return root(square)

    return measure


def _pack(bits: int, stored: int) -> Any:
    planes = 8 // bits

    @register_jitable
    def pack(codes: Any, payload: Any) -> None:
        for j in range(stored):
            byte = types.int32(0)
            for p in range(planes):
                byte |= types.int32(codes[p * stored + j]) << types.int32(p * bits)
            payload[j] = types.uint8(byte)

    return pack
