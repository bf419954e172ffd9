"""Postings: which documents have a token near each centroid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def build_postings(
    codes: NDArray[np.unsignedinteger], doc_offsets: NDArray[np.unsignedinteger], centroids: int
) -> dict[str, NDArray[np.unsignedinteger]]:
    """Return ``postings`` and ``postings_offsets`` of one segment.

    Parameters
    ----------
    codes
        ``(tokens,)`` centroid of each token.
    doc_offsets
        ``(documents + 1,)`` first token of each document.
    centroids
        Number of centroids.

    Returns
    -------
    dict
        ``postings_offsets`` (centroids + 1,) uint32 and ``postings`` (pairs,) uint16 or uint32: local document
        numbers, ascending within a centroid, none twice.

    Examples
    --------
    >>> made = build_postings(np.array([2, 0, 2, 2]), np.array([0, 2, 4]), 3)
    >>> made["postings_offsets"].tolist(), made["postings"].tolist()
    ([0, 1, 1, 3], [0, 0, 1])
    """
    documents = len(doc_offsets) - 1
    owner = np.repeat(np.arange(documents, dtype=np.uint64), np.diff(doc_offsets).astype(np.int64))
    pairs = codes.astype(np.uint64) << np.uint64(32) | owner
    pairs.sort()
    if len(pairs):
        pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    offsets = np.zeros(centroids + 1, np.uint32)
    np.cumsum(np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=centroids), out=offsets[1:])
    narrow = np.dtype("<u2" if documents <= 2**16 else "<u4")
    return {"postings_offsets": offsets, "postings": (pairs & np.uint64(0xFFFFFFFF)).astype(narrow)}
