"""BM25 as a first stage beside the centroids: the candidates of both are scored by MaxSim."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colstore.lexical.bm25 import Bm25

CANDIDATES = 100
"""Minimum number of candidates that BM25 adds to a search; it adds twice the number of hits where that is more."""


class FirstStage:
    """Selects candidates with BM25, as document numbers of one snapshot.

    Parameters
    ----------
    bm25
        A BM25 index whose positions are the document numbers of the snapshot.
    live
        Numbers of the live documents, ascending, ``(n,)``; ``None`` where no document is deleted.
    """

    def __init__(self, bm25: Bm25, live: NDArray[np.int64] | None) -> None:
        self._bm25 = bm25
        self._deleted = None if live is None else np.setdiff1d(np.arange(len(bm25)), live)

    def documents(self, text: str, k: int, allowed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the numbers of the documents to score, ascending, ``(n,)``.

        Parameters
        ----------
        text
            The query.
        k
            Number of hits that the search will return.
        allowed
            Numbers of the documents that a filter admits; ``None`` admits all.
        """
        count = max(CANDIDATES, 2 * k)
        everything = self._deleted is None and allowed is None
        numbers, _ = self._bm25.best(text, count if everything else len(self._bm25))
        if self._deleted is not None:
            numbers = numbers[~np.isin(numbers, self._deleted)]
        if allowed is not None:
            numbers = numbers[np.isin(numbers, allowed)]
        return np.sort(numbers[:count])
