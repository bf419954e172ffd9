"""Rerankers that need no model: any function of pairs, and a deterministic one for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xxhash
from numpy.typing import ArrayLike, NDArray

from colstore.errors import ConfigError, EncoderError
from colstore.types import Reranker

Pairs = Sequence[tuple[str, str]]


class CallableReranker:
    """A plain function as a reranker: an HTTP service, another library, a rule.

    Parameters
    ----------
    function
        Takes a list of (query, passage) and returns a number for each; higher is better.
    name
        What :attr:`Hit.stage` says of the hits that it ranked; one word.

    Examples
    --------
    >>> shorter = CallableReranker(lambda pairs: [-len(passage) for _, passage in pairs], name="shorter")
    >>> shorter.score([("q", "long text"), ("q", "text")]).tolist()
    [-9.0, -4.0]
    """

    def __init__(self, function: Callable[[list[tuple[str, str]]], ArrayLike], name: str = "callable") -> None:
        self.function, self.name = function, checked_name(name)

    def score(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return what the function says, ``(len(pairs),)`` float32."""
        if not len(pairs):
            return np.zeros(0, np.float32)
        return np.asarray(self.function(list(pairs)), np.float32)


class FakeReranker:
    """Scores a pair by the share of the query's words in the passage, and by a hash where that ties.

    Deterministic, and a pair's score never depends on the others.

    Examples
    --------
    >>> scores = FakeReranker().score([("red moon", "the moon is red"), ("red moon", "bread")])
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = checked_name(name)
        self.pairs = 0
        """Pairs scored so far."""

    def score(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return scores between 0 and 1.1, ``(len(pairs),)`` float32."""
        self.pairs += len(pairs)
        return np.array([_overlap(query, passage) for query, passage in pairs], np.float32)


def _overlap(query: str, passage: str) -> float:
    wanted, found = set(query.lower().split()), set(passage.lower().split())
    share = len(wanted & found) / max(1, len(wanted))
    return share + xxhash.xxh3_64_intdigest(f"{query}\0{passage}".encode("utf-8", "surrogatepass")) / 2**64 / 10


def checked_name(name: str) -> str:
    """Return a reranker's name if it is one word, as the last column of a TREC run has to be."""
    if len(name.split()) != 1:
        raise ConfigError(f"the name of a reranker must be one word, got {name!r}")
    return name


def checked_scores(reranker: Reranker, pairs: Pairs) -> NDArray[np.float64]:
    """Return the scores of pairs as float64 ``(len(pairs),)``.

    Raises
    ------
    EncoderError
        The reranker returned another number of scores, or some that are not finite.
    """
    scores = np.asarray(reranker.score(pairs), np.float64)
    if scores.shape != (len(pairs),):
        raise EncoderError(
            f"reranker {reranker.name!r} returned scores of shape {scores.shape} for {len(pairs)} pairs: it must "
            "return one number a pair"
        )
    if not np.isfinite(scores).all():
        raise EncoderError(f"reranker {reranker.name!r} returned scores that are not finite numbers")
    return scores
