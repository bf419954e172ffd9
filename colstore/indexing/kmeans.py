"""Training of centroids: spherical k-means on a bounded sample, assigned by the integer kernel.

Assignment takes nearly all of the time of k-means. The byte product does it exactly as search later sees it
(against rounded centroids), many times faster than float matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Centroids
from colstore.codec.nearest import Nearest, sums_of_members, to_bytes
from colstore.errors import VectorError
from colstore.kernels import calls
from colstore.kernels.layout import CENTROID_MIDDLE
from colstore.types import FloatMatrix

ROUNDS = 8
SAMPLE_PER_CENTROID = 24
LARGEST_SAMPLE_BYTES = 1 << 29
CHUNK = 8_192
FEW_POINTS = 16_384
"""Number of points among which new places for empty clusters are chosen."""


def centroid_count(tokens: int) -> int:
    """Return how many centroids suit an index: eight times the root of its tokens, as a power of two.

    Half of PLAID's rule: each query scans all of the centroids, and they take up space themselves.

    >>> [centroid_count(n) for n in (1, 50, 1_000, 1_240_000, 21_000_000)]
    [1, 32, 256, 8192, 32768]
    """
    if tokens < 2:
        return 1
    power = 1 << round(math.log2(8 * math.sqrt(tokens)))
    return min(power, 1 << (tokens.bit_length() - 1))


def sample_size(centroids: int, dim: int = 128) -> int:
    """Return how many tokens of ``dim`` components to train centroids on: at most half a gigabyte of them."""
    return min(LARGEST_SAMPLE_BYTES // (4 * dim), max(centroids * SAMPLE_PER_CENTROID, 16_384))


def train(
    sample: FloatMatrix,
    rotation: FloatMatrix,
    number: int,
    *,
    seed: int,
    threads: int,
    tick: Callable[[int, int], None] | None = None,
) -> Centroids:
    """Train at most ``number`` centroids.

    Parameters
    ----------
    sample
        Token vectors ``(n, dim)`` float32, finite; rows of zeros are ignored.
    rotation
        ``(dim, padded)``, see :func:`colstore.codec.random_rotation`.
    number
        Number of centroids; fewer are returned when the sample has fewer distinct directions.
    tick
        Called with (rounds done, rounds in all).

    Raises
    ------
    VectorError
        There is nothing to train on.
    """
    points = _rotate(sample, rotation, threads)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    points = np.ascontiguousarray((points / np.maximum(lengths, 1e-30))[lengths[:, 0] > 0], np.float32)
    if not len(points):
        raise VectorError("there is no token vector to train centroids on")
    generator = np.random.default_rng(seed)
    centers = _first_centers(points, number, generator)
    for done in range(ROUNDS):
        if tick is not None:
            tick(done, ROUNDS)
        values, _ = to_bytes(centers)
        codes, products = assign(points, Nearest(values), threads)
        centers = _means(points, codes, products, len(centers))
    if tick is not None:
        tick(ROUNDS, ROUNDS)
    values, scale = to_bytes(centers)
    return Centroids(rotation, values, scale)


def assign(points: FloatMatrix, nearest: Nearest, threads: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the nearest centroid of each point and the integer product, in equal chunks over threads."""
    waves = max(1, -(-len(points) // (threads * 8 * CHUNK)))
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(nearest.with_products, _chunks(points, max(1, -(-len(points) // (threads * waves))))))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _rotate(sample: FloatMatrix, rotation: FloatMatrix, threads: int) -> FloatMatrix:
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda chunk: calls.rotate(chunk, rotation), _chunks(sample)))
    return np.concatenate([np.empty((0, rotation.shape[1]), np.float32), *parts])


def _chunks(rows: FloatMatrix, size: int = CHUNK) -> list[FloatMatrix]:
    return [np.ascontiguousarray(rows[i : i + size], np.float32) for i in range(0, len(rows), size)]


def _first_centers(points: FloatMatrix, number: int, generator: np.random.Generator) -> FloatMatrix:
    """Pick distinct points, because duplicates would only make empty clusters."""
    order = generator.permutation(len(points))
    picked = points[order[: min(len(points), 2 * number)]]
    _, first = np.unique(np.round(picked, 4), axis=0, return_index=True)
    return picked[np.sort(first)[:number]]


def _means(points: FloatMatrix, codes: NDArray[np.int32], products: NDArray[np.int32], number: int) -> FloatMatrix:
    """Return unit means; an empty cluster starts again at one of the points furthest from their centroids."""
    centers, counts = sums_of_members(points, codes, number)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        centers[empty] = _furthest(points, products, len(empty))
    lengths = np.linalg.norm(centers, axis=1, keepdims=True)
    cancelled = lengths[:, 0] < 1e-6  # of opposite points
    centers[cancelled] = points[: int(cancelled.sum())]
    means: FloatMatrix = centers / np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-30)
    return means


def _furthest(points: FloatMatrix, products: NDArray[np.int32], number: int) -> FloatMatrix:
    """Return the ``number`` points least similar to their centroids, of an evenly spread part of all points."""
    step = max(1, len(points) // max(FEW_POINTS, 8 * number))
    points, products = points[::step], products[::step]
    furthest: FloatMatrix = points[np.argsort(_similarities(points, products), kind="stable")[:number]]
    return furthest


def _similarities(points: FloatMatrix, products: NDArray[np.int32]) -> FloatMatrix:
    """Return the similarities to the centroids from products with their bytes, up to one factor for all points."""
    largest = np.abs(points).max(axis=1)
    offsets = CENTROID_MIDDLE * np.rint(points * (127 / largest)[:, None]).sum(axis=1)
    similarities: FloatMatrix = (products - offsets) * largest  # points were scaled to their largest component
    return similarities
