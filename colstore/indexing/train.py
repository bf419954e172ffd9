"""What is learnt before anything is compressed: the projection, the centroids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from colstore.codec import Centroids, random_rotation
from colstore.config import BuildConfig
from colstore.encode import Projection, fit_projection
from colstore.indexing import kmeans as engine
from colstore.indexing.parts import Parts
from colstore.kernels.layout import padded_dim
from colstore.types import FloatMatrix

PROJECTION_SAMPLE = 131_072


def sample_vectors(parts: Parts, size: int, seed: int) -> FloatMatrix:
    """Return ``(n, dim)`` float32: at most ``size`` token vectors, drawn evenly from all parts, in their order."""
    total = parts.tokens
    chosen = np.arange(total)
    if total > size:
        chosen = np.sort(np.random.default_rng(seed).choice(total, size, replace=False, shuffle=False))
    rows, first = [], 0
    for segment in parts.read():
        local = chosen[(chosen >= first) & (chosen < first + segment.tokens)] - first
        rows.append(segment.rows("vectors")[local].astype(np.float32))
        first += segment.tokens
    return np.concatenate(rows)


def train_projection(parts: Parts, dim: int | None, seed: int) -> Projection | None:
    """Return the projection on ``dim`` principal axes, or ``None`` if the vectors have as many components."""
    if dim is None or parts.dim is None or dim == parts.dim:
        return None
    return fit_projection(sample_vectors(parts, PROJECTION_SAMPLE, seed), dim)


def train_centroids(
    parts: Parts,
    projection: Projection | None,
    config: BuildConfig,
    threads: int,
    tick: Callable[[int, int], None],
) -> Centroids:
    """Train the centroids on a sample of the (projected) vectors."""
    number = config.centroids or engine.centroid_count(parts.tokens)
    sample = sample_vectors(parts, engine.sample_size(number, parts.dim or 1), config.seed)
    if projection is not None:
        sample = projection.apply(sample)
    dim = sample.shape[1]
    rotation = random_rotation(dim, padded_dim(dim, config.bits), config.seed)
    return engine.train(sample, rotation, number, seed=config.seed, threads=threads, tick=tick)
