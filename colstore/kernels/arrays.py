"""The arrays that one kernel produces and another one takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryPass:
    """At most 32 query tokens, rotated and rounded for the byte product. Each token occupies one lane.

    Parameters
    ----------
    tokens
        Number of query tokens. The lanes after them are zero.
    lanes
        Number of lanes, a multiple of the vector width.
    rotated
        The rotated query tokens, ``(tokens, dim)`` float32.
    layout
        The rounded query tokens, ``(lanes * dim,)`` int8, in the order of :func:`colstore.kernels.layout.byte_layout`.
    factor, bias
        ``(lanes,)`` float32; the similarity with residual codes is ``product * factor + bias``.
    centroid_factor, centroid_offset
        ``(lanes,)`` float32; the same for the bytes of centroids.
    sums, norms
        ``(lanes,)`` float32; the sum of the components of each token, and its length.
    flush
        Number of groups of four dimensions after which 16-bit sums must be widened.
    flavour
        Flavour of the byte product that the lanes are laid out for.
    """

    tokens: int
    lanes: int
    rotated: Floats
    layout: NDArray[np.int8]
    factor: Floats
    bias: Floats
    centroid_factor: Floats
    centroid_offset: Floats
    sums: Floats
    norms: Floats
    flush: int
    flavour: str


@dataclass(frozen=True, slots=True)
class CentroidTable:
    """Similarity of every centroid with every query lane.

    Parameters
    ----------
    similarities
        ``(centroids, lanes)`` float32.
    coarse
        The similarities as ``(centroids, lanes)`` int8, where 127 stands for the length of the query token.
    group_best
        Largest similarity in each group of 16 consecutive centroids, ``(ceil(centroids / 16), lanes)`` float32.
    """

    similarities: Floats
    coarse: NDArray[np.int8]
    group_best: Floats


@dataclass(frozen=True, slots=True)
class Probes:
    """The nearest centroids of each lane, best first.

    Parameters
    ----------
    centroids, values
        Centroid numbers and their similarities, ``(lanes, nprobe)`` int32 and float32. Rows after those of the query's
        tokens are not set.
    counts
        Number of entries in each row, ``(lanes,)`` int32.
    """

    centroids: NDArray[np.int32]
    values: Floats
    counts: NDArray[np.int32]
