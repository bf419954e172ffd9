"""The checks that vectors pass on their way into an index, and codes on their way out of one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import CorruptIndexError, VectorError


def checked_vectors(document_id: str, vectors: NDArray[Any], dim: int | None) -> NDArray[np.float16]:
    """Return token vectors as float16, the precision that an index is made from.

    Parameters
    ----------
    document_id
        The document's id, for error messages.
    vectors
        Token vectors of shape ``(tokens, dim)`` with at least one row, of an integer or float type.
    dim
        Number of components that they must have; ``None`` allows any.

    Raises
    ------
    VectorError
        Another shape, values that are not finite or beyond float16, or rows of zeros.

    Examples
    --------
    >>> checked_vectors("d1", np.eye(2), 2).dtype
    dtype('float16')
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise VectorError(
            f"document {document_id!r}: vectors must be numbers of shape (tokens, dim), got {array.dtype} {array.shape}"
        )
    if dim is not None and array.shape[1] != dim:
        raise VectorError(f"document {document_id!r}: its vectors have {array.shape[1]} components, expected {dim}")
    with np.errstate(over="ignore"):
        stored = array.astype("<f2")
    if not np.isfinite(stored).all():
        raise VectorError(f"document {document_id!r}: a component is NaN, infinite or beyond 65,504 (float16)")
    if not stored.any(axis=1).all():
        raise VectorError(f"document {document_id!r}: a token vector is all zeros; leave out padding")
    return stored


def check_codes(codes: NDArray[Any], centroids: int) -> None:
    """Refuse codes ``(tokens,)`` of centroids that do not exist.

    Raises
    ------
    CorruptIndexError
        A code is not below ``centroids``.
    """
    if len(codes) and int(codes.max()) >= centroids:
        raise CorruptIndexError("a token has a code that no centroid has: run `colstore.verify(path, level='deep')`")
