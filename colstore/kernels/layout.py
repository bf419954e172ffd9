"""How many lanes and bytes things take: shared by the kernels' callers and their twins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CENTROID_MIDDLE = 63
"""Centroids are bytes 0..126 that stand for -63..63 times one scale."""

MOST_LANES = 32
"""Query tokens that one pass scores; longer queries take several."""

GROUP = 16
"""Consecutive centroids whose best similarity ``scan`` keeps."""

WIDTHS = {"vnni512": 16, "vnni256": 8, "avx2": 8, "portable": 8}
"""Lanes of a vector in each flavour of the byte product."""

BINS = 1024
"""Bins of the histogram of ``select``."""

SMALLEST = 1e-30
"""A vector whose components all lie below this counts as zero: nothing could be divided by them."""

STEPS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (0.80, 0.90, 1.00, 1.10, 1.20),
    4: (0.24, 0.27, 0.30, 0.33, 0.36, 0.39),
    8: (0.018, 0.022, 0.026, 0.030),
}
"""Grid steps that ``compress`` tries at so many bits, in root mean squares of the residual."""

TRIAL_ROWS, TRIAL_LANES, TRIAL_DIM = 2, 32, 64
"""Shape of the product by which a flavour is tried."""


def lanes_for(tokens: int, width: int) -> int:
    """Return the lanes that hold so many query tokens: a multiple of the vector width.

    >>> lanes_for(22, 8), lanes_for(32, 16), lanes_for(1, 16)
    (24, 32, 16)
    """
    return -(-tokens // width) * width


def padded_dim(dim: int, bits: int) -> int:
    """Return the dimension that the codes of ``bits`` bits are kept in.

    Planes of a token must hold whole groups of four dimensions, and float kernels step by eight.

    >>> padded_dim(128, 4), padded_dim(48, 1), padded_dim(50, 4), padded_dim(7, 16)
    (128, 64, 56, 8)
    """
    step = {16: 8, 8: 8, 4: 8, 2: 16, 1: 32}[bits]
    return -(-dim // step) * step


def byte_layout(rows: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return bytes ``(lanes, dim)`` in the order of the byte product, ``[dim / 4][lanes][4]``.

    >>> byte_layout(np.arange(16, dtype=np.int8).reshape(2, 8)).tolist()
    [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]
    """
    lanes, dim = rows.shape
    return np.ascontiguousarray(rows.reshape(lanes, dim // 4, 4).transpose(1, 0, 2)).ravel()
