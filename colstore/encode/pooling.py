"""Token pooling: fewer vectors for each document, by averaging vectors that are similar.

``hierarchical`` is Ward clustering on the cosine distance, as in sentence-transformers' ``HierarchicalTokenPooling``
(Clavié et al., "Reducing the footprint of multi-vector retrieval", arXiv 2409.14683). It loses almost nothing at
factor 2, and a few percent at factor 3. ``neighbours`` averages runs of consecutive tokens, which is much cheaper and
somewhat worse.

Both keep the first token (``[CLS]``) as it is and return unit rows. They need only numpy and scipy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.config import POOLINGS, Pooling
from colstore.errors import ConfigError, VectorError
from colstore.types import FloatMatrix

WINDOW = 1_024
"""Tokens that are clustered together at most; a longer document is clustered in windows of equal length.

Memory and time of clustering grow with the square of the tokens: 8,192 tokens of 128 components at once take 769
MB and 4.4 s of processor time, in windows 16 MB and 0.4 s. Up to this length the result is that of clustering at once.

At factor 2, on 35 documents of 3,809 tokens (560 of SciFact joined by 16), recall@10 of the unpooled ranking is .963 at
once and .961 in windows of 2,048 (80 queries). On the first 30 queries it is .960 in windows of 2,048 and 1,024, with
the same best document for .900 and .867 of them, and scores lower by 1.1 and 1.2 percent.
"""
_CANCELLED = 1e-6
"""A mean that is shorter than this is rounding noise: its vectors cancel each other out."""


def pool(vectors: NDArray[Any], factor: float, method: Pooling = "hierarchical", *, protected: int = 1) -> FloatMatrix:
    """Reduce the number of vectors to about one in ``factor``; ``"none"`` and factor 1 keep all vectors.

    Parameters
    ----------
    vectors
        Token vectors of a document, shape ``(n, dim)``, unit rows.
    factor
        Pooling factor, at least 1; it need not be an integer.
    method
        ``"none"``, ``"hierarchical"`` or ``"neighbours"``.
    protected
        Number of leading rows that are kept as they are.

    Returns
    -------
    ndarray
        Shape ``(min(n, protected) + max((n - protected) // factor, 1), dim)``, float32. There may be a few rows less if
        distances tie.

    Raises
    ------
    ConfigError
        The factor, the method or ``protected`` is invalid.
    VectorError
        The vectors are not a matrix of this shape, or contain zero rows or values that are not finite.
    """
    if method not in POOLINGS:
        raise ConfigError(f"pooling must be one of {POOLINGS}, got {method!r}")
    if method == "none" or factor == 1:
        return _checked(vectors, factor, protected)
    function = pool_hierarchical if method == "hierarchical" else pool_neighbours
    return function(vectors, factor, protected)


def pool_hierarchical(vectors: NDArray[Any], factor: float, protected: int = 1) -> FloatMatrix:
    """Return the protected rows, followed by the normalised means of Ward clusters of the other rows.

    Parameters, result and errors are those of :func:`pool`. The rows and their order are the same as with
    ``HierarchicalTokenPooling(factor, num_protected_tokens=protected)``, except that a cluster whose members cancel
    out is represented by its first member instead of rounding noise.

    Examples
    --------
    >>> tokens = np.float32([[0, 1], [1, 0], [-1, 0], [1, 0.01], [-1, 0.01]])
    >>> pool_hierarchical(tokens, 2).round(2).tolist()
    [[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]]
    """
    matrix = _checked(vectors, factor, protected)
    tokens = matrix[protected:]
    clusters = _cluster_count(len(tokens), factor)
    if clusters >= len(tokens):
        return _unit_rows(matrix)
    return _pooled(matrix[:protected], tokens, _windowed_labels(tokens, clusters))


def pool_neighbours(vectors: NDArray[Any], factor: float, protected: int = 1) -> FloatMatrix:
    """Return the protected rows, followed by the normalised means of runs of about ``factor`` consecutive tokens.

    Parameters, result and errors are those of :func:`pool`. This needs one pass and no distances.

    Examples
    --------
    >>> tokens = np.float32([[0, 1], [1, 0], [1, 0], [0, 1], [0, 1]])
    >>> pool_neighbours(tokens, 2).tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    matrix = _checked(vectors, factor, protected)
    tokens = matrix[protected:]
    clusters = _cluster_count(len(tokens), factor)
    if clusters >= len(tokens):
        return _unit_rows(matrix)
    return _pooled(matrix[:protected], tokens, np.arange(len(tokens)) * clusters // len(tokens))


def _cluster_count(tokens: int, factor: float) -> int:
    return max(int(tokens // factor), 1)


def _windowed_labels(tokens: FloatMatrix, clusters: int) -> NDArray[np.int64]:
    """Return the cluster number of each token, from 0 and without gaps; no cluster spans two windows."""
    windows = min(-(-len(tokens) // WINDOW), clusters)
    bounds = [len(tokens) * i // windows for i in range(windows + 1)]
    shares = [clusters * i // windows for i in range(windows + 1)]
    labels, used = [], 0
    for i in range(windows):
        part = _ward_labels(tokens[bounds[i] : bounds[i + 1]], shares[i + 1] - shares[i])
        labels.append(part + used)
        used += int(part.max()) + 1
    return np.concatenate(labels)


def _ward_labels(tokens: FloatMatrix, clusters: int) -> NDArray[np.int64]:
    """Return the cluster number of each token, from 0 and without gaps."""
    if clusters == 1:
        return np.zeros(len(tokens), np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distances = np.clip(1 - tokens @ tokens.T, 0, 2)
    tree = linkage(squareform(distances, checks=False), method="ward")
    labels = fcluster(tree, t=clusters, criterion="maxclust")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)  # ties may leave labels unused


def _pooled(protected: FloatMatrix, tokens: FloatMatrix, labels: NDArray[np.int64]) -> FloatMatrix:
    """Return the protected rows and the mean of each cluster, all normalised."""
    members = np.argsort(labels, kind="stable")
    firsts = np.flatnonzero(np.diff(labels[members], prepend=-1))
    counts = np.diff(np.append(firsts, len(labels)))
    means = np.add.reduceat(tokens[members], firsts, axis=0) / counts[:, None].astype(np.float32)
    cancelled = np.linalg.norm(means, axis=1) < _CANCELLED
    means[cancelled] = tokens[members[firsts[cancelled]]]
    return _unit_rows(np.concatenate([protected, means]))


def _unit_rows(matrix: FloatMatrix) -> FloatMatrix:
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=np.float32)


def _checked(vectors: NDArray[Any], factor: float, protected: int) -> FloatMatrix:
    if not factor >= 1:
        raise ConfigError(f"pool factor must be at least 1 (1 keeps every vector), got {factor!r}")
    if protected < 0:
        raise ConfigError(f"protected must be at least 0, got {protected}")
    matrix = np.asarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise VectorError(f"token vectors must have shape (tokens, dim) with at least one of each, got {matrix.shape}")
    lengths = np.linalg.norm(matrix, axis=1)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise VectorError("token vectors must be finite to be pooled, and no vector may be zero")
    return matrix
