"""Query vectors, checked, and prepared for the kernels in passes of 32 tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.errors import QueryError
from colstore.kernels import calls
from colstore.kernels.calls import CentroidTable
from colstore.kernels.layout import MOST_LANES
from colstore.types import FloatMatrix
from colstore.values import as_array

LARGEST = 1e15
"""Largest component of a query vector: sums of its products with document vectors must stay within float32."""


def check_query(vectors: NDArray[Any], dim: int) -> FloatMatrix:
    """Return query vectors as contiguous float32 ``(tokens, dim)``.

    Parameters
    ----------
    vectors
        Token vectors ``(tokens, dim)``: an array, a tensor of torch, or a list of rows.
    dim
        Number of components that the index has.

    Raises
    ------
    QueryError
        The vectors have a wrong shape or type, no tokens, NaN, infinities, a row of zeros, or a component that is too
        large for products in float32.
    """
    array = as_array(vectors)
    if array.dtype.kind not in "fiu" or not array.ndim:
        raise QueryError(
            f"a query must be a text, or an array of numbers of shape (tokens, {dim}); got {type(vectors).__name__}"
            + (f" of {array.dtype}" if isinstance(vectors, np.ndarray) else "")
        )
    if array.ndim != 2 or array.shape[1] != dim:
        raise QueryError(f"query vectors must have shape (tokens, {dim}) for this index, got {array.shape}")
    if not len(array):
        raise QueryError("the query has no tokens")
    with np.errstate(over="ignore"):
        query = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(query).all():
        raise QueryError("query vectors hold NaN or infinite values")
    if float(np.abs(query).max()) > LARGEST:
        raise QueryError(f"a component of a query vector exceeds {LARGEST:g}: scale the vectors first")
    if not query.any(axis=1).all():
        raise QueryError("a query vector is all zeros: leave out padding before searching")
    return query


class PreparedQuery:
    """The passes of a query, and for each a table of similarities to the centroids, made when first needed."""

    def __init__(self, vectors: FloatMatrix, codec: Codec) -> None:
        coarse = codec.centroids
        self.tokens = len(vectors)
        self.sources = [vectors[i : i + MOST_LANES] for i in range(0, len(vectors), MOST_LANES)]
        self.passes = [calls.prepare(rows, coarse.rotation, codec.bits, coarse.scale) for rows in self.sources]
        self._values = coarse.values
        self._tables: list[CentroidTable | None] = [None] * len(self.passes)

    def table(self, number: int) -> CentroidTable:
        """Return the centroid table of pass ``number``."""
        table = self._tables[number]
        if table is None:
            table = self._tables[number] = calls.scan(self.passes[number], self._values)
        return table
