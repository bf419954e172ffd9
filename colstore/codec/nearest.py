"""The nearest centroid of each token: first among a few cells, then among the centroids near that cell.

Comparing each token with every centroid takes nine tenths of the time of training and compressing. With some thousands
of centroids a tenth of them will do: a token's nearest centroid is nearly always among those nearest to the cell that
the token lies in. About two tokens in a hundred get a centroid almost as near instead, and their residual makes up for
it. `docs/PERFORMANCE.md` has the figures.

Cells and lists are a function of the centroids alone, so that a token gets the same centroid wherever it is encoded.
They take a fraction of a second to make; :func:`nearest_of` keeps those of the last few sets of centroids.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import xxhash
from numpy.typing import NDArray

from colstore.kernels import calls
from colstore.kernels.layout import CENTROID_MIDDLE
from colstore.types import FloatMatrix

FEWEST = 4_096
"""With fewer centroids than this, each token is compared with all of them."""
NEAR = 8
"""Centroids listed for a cell, in multiples of the number of cells."""
LEAST_SHARE = 16
"""At least one in this many centroids is listed for a cell."""
ROUNDS = 3
SMALLEST_LENGTH = np.float32(1e-12)
CACHED = 2
"""Sets of centroids whose lists are kept; those of 32,768 centroids of 128 components take 64 MB."""


class Nearest:
    """Assigns a centroid to each token. What a token gets does not depend on the other tokens.

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
            positions, nearest_products = calls.assign(sorted_tokens[here], self._near[cell])
            codes[order[here]] = self._listed[cell][positions]
            products[order[here]] = nearest_products
        return codes, products


_cache: OrderedDict[bytes, Nearest] = OrderedDict()


def nearest_of(values: NDArray[np.uint8]) -> Nearest:
    """Return the :class:`Nearest` of centroids ``(number, dim)`` uint8, from a cache where it has to be prepared.

    May be called from several threads: two of them may prepare the same lists at once, which are equal.
    """
    if len(values) < FEWEST:
        return Nearest(values)
    content = xxhash.xxh3_128(values.tobytes())
    content.update(repr(values.shape).encode())
    key = content.digest()
    nearest = _cache.get(key) or Nearest(values)
    _cache[key] = nearest
    _cache.move_to_end(key)
    while len(_cache) > CACHED:
        _cache.popitem(last=False)
    return nearest


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
