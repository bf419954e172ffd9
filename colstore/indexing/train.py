"""Training: the projection, the centroids and with them the codec, on a sample of an index's token vectors.

A build trains on its parts, an index that has grown on its stored segments; both draw the same sample from the same
vectors. An index that has too few tokens to train on is kept as float16, by :func:`untrained_codec`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from colstore.codec import Centroids, Codec, make, random_rotation
from colstore.config import BuildConfig
from colstore.encode import Projection, fit_projection
from colstore.indexing import kmeans
from colstore.kernels.calls import Ints
from colstore.kernels.layout import CENTROID_MIDDLE, padded_dim
from colstore.types import FloatMatrix

PROJECTION_SAMPLE = 131_072

Block: TypeAlias = "tuple[int, Callable[[Ints], FloatMatrix]]"
"""Some tokens in a row: how many, and what returns the vectors of some of them (by their numbers in the block)."""


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The token vectors of an index, in order, for sampling.

    Parameters
    ----------
    tokens, dim
        Number of vectors, and of their components.
    blocks
        Returns the vectors block by block; called once for each sample.
    """

    tokens: int
    dim: int
    blocks: Callable[[], Iterator[Block]]


def sample_vectors(vectors: TokenVectors, size: int, seed: int) -> FloatMatrix:
    """Return ``(n, dim)`` float32: at most ``size`` token vectors, drawn evenly from all, in their order."""
    chosen = np.arange(vectors.tokens)
    if vectors.tokens > size:
        generator = np.random.default_rng(seed)
        chosen = np.sort(generator.choice(vectors.tokens, size, replace=False, shuffle=False))
    rows, first = [np.empty((0, vectors.dim), np.float32)], 0
    for count, rows_at in vectors.blocks():
        local = chosen[(chosen >= first) & (chosen < first + count)] - first
        rows.append(rows_at(local))
        first += count
    return np.concatenate(rows)


def train_projection(vectors: TokenVectors, dim: int | None, seed: int) -> Projection | None:
    """Return the projection on ``dim`` principal axes, or ``None`` if the vectors have as many components."""
    if dim is None or dim == vectors.dim:
        return None
    return fit_projection(sample_vectors(vectors, PROJECTION_SAMPLE, seed), dim)


def train_codec(
    vectors: TokenVectors,
    projection: Projection | None,
    config: BuildConfig,
    threads: int,
    tick: Callable[[int, int], None] | None = None,
    *,
    rotation: FloatMatrix | None = None,
) -> Codec:
    """Return the codec of ``config.bits`` bits, with centroids trained on a sample of the (projected) vectors.

    Parameters
    ----------
    tick
        Called with (rounds done, rounds in all).
    rotation
        A rotation to keep; by default the one of ``config.seed``.

    Raises
    ------
    VectorError
        There is nothing to train on.
    """
    number = config.centroids or kmeans.centroid_count(vectors.tokens)
    sample = sample_vectors(vectors, kmeans.sample_size(number, vectors.dim), config.seed)
    if projection is not None:
        sample = projection.apply(sample)
    if rotation is None:
        rotation = _rotation(sample.shape[1], config)
    return make(config.bits, kmeans.train(sample, rotation, number, seed=config.seed, threads=threads, tick=tick))


def untrained_codec(dim: int, config: BuildConfig) -> Codec:
    """Return a codec that needs no training: float16, and one centroid, in the middle, for all tokens."""
    rotation = _rotation(dim, config)
    middle = np.full((1, rotation.shape[1]), CENTROID_MIDDLE, np.uint8)
    return make(16, Centroids(rotation, middle, 1.0))


def _rotation(dim: int, config: BuildConfig) -> FloatMatrix:
    return random_rotation(dim, padded_dim(dim, config.bits), config.seed)
