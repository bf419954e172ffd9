"""Kernel ``compress``: the residual of each token on a uniform grid whose step is the best of several for that token.

For a token ``x`` with centroid ``c`` the residual is ``r = x / |x| - c``; its codes are ``k = round(r / step +
middle)``, clipped, and the grid value of a code is ``u = k - middle``. Of :data:`STEPS` (in root mean squares of the
residual) the step is kept whose ``u`` points most nearly along ``r``, as extended RaBitQ does (arXiv 2409.09913).
Then ``x`` is fitted by ``outer * c + inner * u``, with ``inner / outer`` the least-squares length of ``r`` on ``u``,
and ``outer`` such that the whole has the length of ``x``: what is stored scores like the vector it stands for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from colstore.kernels.sources.build import compiled

STEPS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (0.80, 0.90, 1.00, 1.10, 1.20),
    4: (0.24, 0.27, 0.30, 0.33, 0.36, 0.39),
    8: (0.018, 0.022, 0.026, 0.030),
}


def build(*, bits: int, dim: int) -> Any:  # noqa: ANN401
    """Compile for one number of bits and dimension."""
    top = 2**bits - 1
    middle = np.float32(top / 2)
    stored = dim * bits // 8
    planes = 8 // bits
    steps = tuple(np.float32(s) for s in STEPS[bits])

    @njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]  # numba ships no types
    def agreement(residual: Any, inverse: Any) -> Any:  # noqa: ANN401
        """Return <r, u>, <u, u> of the residual's codes at this step."""
        along = types.float32(0)
        square = types.float32(0)
        for j in range(dim):
            k = np.rint(residual[j] * inverse + middle)
            k = min(max(k, types.float32(0)), types.float32(top))
            u = k - middle
            along += residual[j] * u
            square += u * u
        return along, square

    @compiled("f32 u8 i32 float int f32 u8 f32")
    def compress(
        tokens: Any, centroids: Any, codes: Any, centroid_scale: Any, count: Any,
        residual: Any, payload: Any, scales: Any,
    ) -> None:  # fmt: skip
        # residual: room for one token
        for i in range(count):
            row = i * dim
            base = int(codes[i]) * dim
            length = types.float32(0)
            for j in range(dim):
                length += tokens[row + j] * tokens[row + j]
            length = np.sqrt(length)
            power = types.float32(0)
            for j in range(dim):
                c = centroid_scale * (types.float32(centroids[base + j]) - types.float32(63))
                r = tokens[row + j] / length - c
                residual[j] = r
                power += r * r
            deviation = max(np.sqrt(power / types.float32(dim)), types.float32(1e-20))
            best = types.float32(-1)
            inverse = types.float32(0)
            inner = types.float32(0)
            for s in steps:
                trial = types.float32(1) / (s * deviation)
                along, square = agreement(residual, trial)
                if along * along > best * square:
                    best = along * along / square
                    inverse = trial
                    inner = along / square
            size = types.float32(0)
            for j in range(dim):
                k = np.rint(residual[j] * inverse + middle)
                k = min(max(k, types.float32(0)), types.float32(top))
                c = centroid_scale * (types.float32(centroids[base + j]) - types.float32(63))
                value = c + inner * (k - middle)
                size += value * value
                residual[j] = k
            for j in range(stored):
                byte = 0
                for p in range(planes):
                    byte |= int(residual[p * stored + j]) << (p * bits)
                payload[i * stored + j] = types.uint8(byte)
            outer = length / max(np.sqrt(size), types.float32(1e-20))
            scales[2 * i] = outer
            scales[2 * i + 1] = outer * inner

    return compress
