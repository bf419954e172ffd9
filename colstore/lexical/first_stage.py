"""BM25 beside the centroids: candidates of both are scored by MaxSim."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colstore.lexical.bm25 import Bm25

CANDIDATES = 100
"""Documents that BM25 adds, at least; twice the hits wanted where that is more."""


class FirstStage:
    """Candidates by BM25, as document numbers of one snapshot.

    Parameters
    ----------
    bm25
        Whose positions are document numbers.
    alive
        For each document whether it is there still; ``None`` where none is deleted.
    """

    def __init__(self, bm25: Bm25, alive: NDArray[np.int64] | None) -> None:
        self._bm25 = bm25
        self._gone = None if alive is None else np.setdiff1d(np.arange(len(bm25)), alive)

    def documents(self, text: str, k: int, allowed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return ascending numbers of the documents to score for ``k`` hits, ``(n,)``; only ``allowed`` ones."""
        wanted = max(CANDIDATES, 2 * k)
        whole = self._gone is None and allowed is None
        found, _ = self._bm25.best(text, wanted if whole else len(self._bm25))
        if self._gone is not None:
            found = found[~np.isin(found, self._gone)]
        if allowed is not None:
            found = found[np.isin(found, allowed)]
        return np.sort(found[:wanted])
