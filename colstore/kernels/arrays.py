"""The arrays that kernels hand to one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryPass:
    """At most 32 query tokens, rotated and rounded for the byte product.

    Parameters
    ----------
    tokens
        Number of query tokens; lanes behind them are zero.
    lanes
        A multiple of the vector width.
    rotated
        ``(tokens, dim)`` float32.
    layout
        ``lanes * dim`` int8, in the order of :func:`colstore.kernels.layout.byte_layout`.
    factor, bias
        ``(lanes,)`` float32: similarity with residual codes = product * factor + bias.
    centroid_factor, centroid_offset
        The same for centroid bytes.
    sums, norms
        ``(lanes,)`` float32: sum of components, and length, of each token.
    flush
        Groups of four dimensions after which 16-bit sums must be widened.
    flavour
        Of the byte product that the lanes are made for.
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
        ``(centroids, lanes)`` int8, 127 for the length of the query token.
    group_best
        ``(ceil(centroids / 16), lanes)`` float32.
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
        ``(lanes, wanted)`` int32 and float32; rows behind the query's tokens hold nothing.
    counts
        ``(lanes,)`` int32: how many of a row are filled.
    """

    centroids: NDArray[np.int32]
    values: Floats
    counts: NDArray[np.int32]
