"""Documents and their passages, both numbered through the index.

The engine gathers, prunes and scores passages; what it returns are documents, each with the score of its best passage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from colstore.kernels.calls import Floats, Ints


class PassageNumbers:
    """Which passages belong to which document.

    Parameters
    ----------
    first
        Number of the first passage of each document, and of the end: ``(documents + 1,)`` int64, ascending.

    Examples
    --------
    >>> numbers = PassageNumbers(np.array([0, 1, 4, 5]))
    >>> numbers.of(np.array([1, 2])).tolist(), numbers.documents(np.array([0, 3, 4])).tolist()
    ([1, 2, 3, 4], [0, 1, 2])
    """

    def __init__(self, first: Ints) -> None:
        self.first = first
        self._document = np.repeat(np.arange(len(first) - 1, dtype=np.int64), np.diff(first))

    @classmethod
    def joined(cls, tables: Sequence[NDArray[np.integer]]) -> PassageNumbers:
        """Return the numbers through several segments, from the first passage of each document in each of them."""
        counts = [np.diff(table.astype(np.int64)) for table in tables]
        return cls(np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64))

    def of(self, documents: Ints) -> Ints:
        """Return the passages of documents, one document after another."""
        counts = self.first[documents + 1] - self.first[documents]
        ends = np.cumsum(counts)
        return np.repeat(self.first[documents] - ends + counts, counts) + np.arange(int(counts.sum()))

    def documents(self, passages: Ints) -> Ints:
        """Return the document of each passage."""
        return self._document[passages]


def by_document(documents: Ints, values: Floats) -> tuple[Ints, Ints, Floats]:
    """Return each document once, where its passages begin, and the best of their values.

    Parameters
    ----------
    documents
        The document of each passage, ascending, ``(n,)``.
    values
        A number for each passage, ``(n,)``.

    Examples
    --------
    >>> [part.tolist() for part in by_document(np.array([3, 3, 7]), np.array([1.0, 2.0, 0.5]))]
    [[3, 7], [0, 2], [2.0, 0.5]]
    """
    if not len(documents):
        return documents, np.zeros(0, np.int64), values
    starts = np.flatnonzero(np.concatenate([[True], documents[1:] != documents[:-1]]))
    return documents[starts], starts, np.maximum.reduceat(values, starts)


def first_best(starts: Ints, values: Floats, best: Floats) -> Ints:
    """Return the position of the first passage of each document whose value is the best one."""
    counts = np.diff(np.append(starts, len(values)))
    is_best = np.flatnonzero(values == np.repeat(best, counts))
    owner = np.repeat(np.arange(len(starts)), counts)[is_best]
    return is_best[np.searchsorted(owner, np.arange(len(starts)))]
