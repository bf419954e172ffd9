"""Sizes and memory layouts that the kernels, their callers and their twins share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CENTROID_MIDDLE = 63
"""Centroids are stored as bytes 0..126, which stand for -63..63 times a common scale."""

MOST_LANES = 32
"""Largest number of query tokens in one pass; longer queries take several passes."""

GROUP = 16
"""Number of consecutive centroids of which ``scan`` records the best similarity."""

WIDTHS = {"vnni512": 16, "vnni256": 8, "avx2": 8, "portable": 8}
"""Number of lanes in a vector, for each flavour of the byte product; the fastest flavour comes first."""

BINS = 1024
"""Number of bins in the histogram of ``select``."""

SMALLEST = 1e-30
"""A vector whose components are all smaller than this counts as zero, to avoid division by zero."""

STEPS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (0.80, 0.90, 1.00, 1.10, 1.20),
    4: (0.24, 0.27, 0.30, 0.33, 0.36, 0.39),
    8: (0.018, 0.022, 0.026, 0.030),
}
"""Grid steps that ``compress`` tries, by the number of bits, as multiples of the residual's root mean square."""

TRIAL_ROWS, TRIAL_LANES, TRIAL_DIM = 2, 32, 64
"""Shape of the product on which a flavour is tried."""


def lanes_for(tokens: int, width: int) -> int:
    """Return the number of lanes for ``tokens`` query tokens, rounded up to a multiple of the vector width.

    >>> lanes_for(22, 8), lanes_for(32, 16), lanes_for(1, 16)
    (24, 32, 16)
    """
    return -(-tokens // width) * width


def padded_dim(dim: int, bits: int) -> int:
    """Return the dimension, including padding, in which codes of ``bits`` bits are stored.

    Each plane of a token must hold whole groups of four dimensions, and float kernels process eight at a time.

    >>> padded_dim(128, 4), padded_dim(48, 1), padded_dim(50, 4), padded_dim(7, 16)
    (128, 64, 56, 8)
    """
    step = {16: 8, 8: 8, 4: 8, 2: 16, 1: 32}[bits]
    return -(-dim // step) * step


def byte_layout(rows: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return bytes ``(lanes, dim)`` in the order of the byte product, ``[dim / 4][lanes][4]``, flattened.

    >>> byte_layout(np.arange(16, dtype=np.int8).reshape(2, 8)).tolist()
    [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]
    """
    lanes, dim = rows.shape
    return np.ascontiguousarray(rows.reshape(lanes, dim // 4, 4).transpose(1, 0, 2)).ravel()
