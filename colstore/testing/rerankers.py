"""A deterministic reranker without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from colstore.rerank.rerankers import checked_name


class FakeReranker:
    """Scores a pair by the share of the query's words that are in the passage, and by a hash where that ties.

    It is deterministic, and the score of a pair never depends on the other pairs.

    Parameters
    ----------
    name
        The name that :attr:`Hit.stage` has for the hits ranked by it; one word.

    Attributes
    ----------
    pairs : int
        Number of pairs scored so far.

    Examples
    --------
    >>> scores = FakeReranker().score([("red moon", "the moon is red"), ("red moon", "bread")])
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = checked_name(name)
        self.pairs = 0

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return scores between 0 and 1.1, ``(len(pairs),)`` float32.

        Parameters
        ----------
        pairs
            Queries with passages.
        """
        self.pairs += len(pairs)
        return np.array([_overlap(query, passage) for query, passage in pairs], np.float32)


def _overlap(query: str, passage: str) -> float:
    query_words, passage_words = set(query.lower().split()), set(passage.lower().split())
    share = len(query_words & passage_words) / max(1, len(query_words))
    return share + xxhash.xxh3_64_intdigest(f"{query}\0{passage}".encode("utf-8", "surrogatepass")) / 2**64 / 10
