"""Nearest centroids of many tokens: first among a few cells, then among the centroids near that cell.

Comparing each token with every centroid is nine tenths of training and compressing. With some thousands of
centroids a tenth of them will do: a token's nearest centroid is nearly always among those nearest to the cell
that the token lies in. What is missed (about two in a hundred tokens) is given a centroid almost as near, and
its residual says the rest. `docs/PERFORMANCE.md` has the figures.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from colstore.kernels import calls
from colstore.kernels.layout import CENTROID_MIDDLE
from colstore.types import FloatMatrix

FEWEST = 4_096
"""With fewer centroids than this, each token is compared with all of them."""
NEAR = 8
"""Centroids listed for a cell, in multiples of the number of cells."""
LEAST_SHARE = 16
"""One in so many centroids is listed for a cell at least."""
ROUNDS = 3
SMALLEST_LENGTH = np.float32(1e-12)


class Nearest:
    """Finds the nearest centroid of each token. What is found for a token does not depend on the others.

    Parameters
    ----------
    values
        Centroids ``(number, dim)`` uint8, as in :class:`colstore.codec.Centroids`.
    """

    def __init__(self, values: NDArray[np.uint8]) -> None:
        self._values = values
        self._cells: NDArray[np.uint8] | None = None
        if len(values) >= FEWEST:
            self._cells, self._listed = _lists(values)
            self._near = values[self._listed]

    def __call__(self, tokens: FloatMatrix) -> NDArray[np.int32]:
        """Return the number of a centroid for each token ``(tokens, dim)`` float32 in rotated space."""
        return self.with_products(tokens)[0]

    def with_products(self, tokens: FloatMatrix) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the numbers, and the integer products that say how near (see :func:`calls.assign`)."""
        tokens = np.ascontiguousarray(tokens, np.float32)
        if self._cells is None:
            return calls.assign(tokens, self._values)
        cells, _ = calls.assign(tokens, self._cells)
        order = np.argsort(cells, kind="stable")
        sorted_tokens = tokens[order]
        bounds = np.searchsorted(cells[order], np.arange(len(self._cells) + 1))
        codes, products = np.empty(len(tokens), np.int32), np.empty(len(tokens), np.int32)
        for cell in np.flatnonzero(np.diff(bounds)):
            here = slice(int(bounds[cell]), int(bounds[cell + 1]))
            found, near = calls.assign(sorted_tokens[here], self._near[cell])
            codes[order[here]] = self._listed[cell][found]
            products[order[here]] = near
        return codes, products


def cell_count(centroids: int) -> int:
    """Return how many cells suit so many centroids: the root of their double, as a power of two.

    >>> [cell_count(n) for n in (4_096, 8_192, 32_768)]
    [64, 128, 256]
    """
    return 1 << round(math.log2(math.sqrt(2 * centroids)))


def _lists(values: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return cells ``(cells, dim)`` uint8, and the centroids near each ``(cells, listed)`` int32, ascending."""
    directions = values.astype(np.float32) - CENTROID_MIDDLE
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), SMALLEST_LENGTH)
    count = cell_count(len(values))
    centers = directions[np.random.default_rng(0).permutation(len(values))[:count]]
    for _ in range(ROUNDS):
        codes, _ = calls.assign(directions, to_bytes(centers)[0])
        sums, counts = sums_of_members(directions, codes, count)
        used = counts > 0
        centers[used] = sums[used]
        centers /= np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), SMALLEST_LENGTH)
    similarities = calls.rotate(directions, np.ascontiguousarray(centers.T))
    listed = max(NEAR * count, len(values) // LEAST_SHARE)
    nearest = np.argpartition(-similarities, listed - 1, axis=0)[:listed].T
    return to_bytes(centers)[0], np.sort(nearest, axis=1).astype(np.int32)


def sums_of_members(
    points: FloatMatrix, codes: NDArray[np.int32], number: int
) -> tuple[FloatMatrix, NDArray[np.integer]]:
    """Return the sum of the points of each of ``number`` groups, ``(number, dim)``, and how many each has."""
    from scipy.sparse import csr_array

    members = csr_array((np.ones(len(codes), np.float32), (codes, np.arange(len(codes)))), shape=(number, len(codes)))
    sums: FloatMatrix = members @ points  # one pass over the points, in their order
    return sums, np.diff(members.indptr)


def to_bytes(centers: FloatMatrix) -> tuple[NDArray[np.uint8], float]:
    """Return centers as bytes 0..126 around the middle, and the scale that they stand for."""
    scale = float(np.abs(centers).max()) / CENTROID_MIDDLE
    values: NDArray[np.uint8] = (np.rint(centers / scale) + CENTROID_MIDDLE).astype(np.uint8)
    return values, scale
