"""The two plain ways to score vectors: exact MaxSim in float32, and one averaged vector a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from colstore.evaluate.bench import Asked, Bench
from colstore.evaluate.bi_encoder import BATCH, BiEncoder, unit
from colstore.evaluate.machine import one_thread
from colstore.evaluate.measures import Ranking
from colstore.evaluate.spool import Spool
from colstore.types import FloatMatrix

Scores = NDArray[np.float32]


def maxsim(query: FloatMatrix, rows: FloatMatrix, starts: NDArray[np.int64]) -> Scores:
    """Return the MaxSim of a query with each document of a block, in float32.

    Parameters
    ----------
    query
        ``(query tokens, dim)``.
    rows
        ``(tokens, dim)``: documents one after the other.
    starts
        ``(documents,)``: the first row of each.

    Examples
    --------
    >>> rows = np.float32([[1, 0], [0, 1], [-1, 0]])
    >>> maxsim(np.float32([[1, 0], [0, 1]]), rows, np.array([0, 2])).tolist()
    [2.0, -1.0]
    """
    best = np.maximum.reduceat(rows @ query.T, starts, axis=0)
    return np.asarray(best.sum(axis=1, dtype=np.float32))


def exact_run(
    spool: Spool, queries: Mapping[str, FloatMatrix], k: int, tick: Callable[[int], None] | None = None
) -> tuple[dict[str, list[tuple[str, float]]], list[float]]:
    """Return the ``k`` best documents of each query by exact MaxSim, and the milliseconds that each query took.

    Documents are read once, a block at a time, for all queries; a query's time is the sum of what its blocks took,
    reading them not counted. ``tick`` is told how many documents are done.
    """
    best: dict[str, tuple[NDArray[np.int64], Scores]] = {
        name: (np.empty(0, np.int64), np.empty(0, np.float32)) for name in queries
    }
    milliseconds = dict.fromkeys(queries, 0.0)
    for first, rows, starts in spool.blocks():
        for name, query in queries.items():
            start = perf_counter()
            best[name] = _merged(*best[name], maxsim(query, rows, starts), first, k)
            milliseconds[name] += 1000 * (perf_counter() - start)
        if tick is not None:
            tick(first + len(starts))
    run = {name: _named(spool, *found) for name, found in best.items()}
    return run, list(milliseconds.values())


def _merged(
    documents: NDArray[np.int64], scores: Scores, found: Scores, first: int, k: int
) -> tuple[NDArray[np.int64], Scores]:
    documents = np.concatenate([documents, np.arange(first, first + len(found))])
    scores = np.concatenate([scores, found])
    if len(scores) > k:
        kept = np.argpartition(-scores, k - 1)[:k]
        documents, scores = documents[kept], scores[kept]
    return documents, scores


def _named(spool: Spool, documents: NDArray[np.int64], scores: Scores) -> list[tuple[str, float]]:
    pairs = [(spool.ids[document], float(score)) for document, score in zip(documents, scores, strict=True)]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def averaged(rows: FloatMatrix, starts: NDArray[np.int64]) -> FloatMatrix:
    """Return the mean vector of each text, brought to length 1: ``(texts, dim)`` float32.

    Vectors that cancel out give zeros, which are similar to nothing.

    Examples
    --------
    >>> averaged(np.float32([[3, 0], [0, 3], [0, 5]]), np.array([0, 2])).round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377], [0.0, 1.0]]
    """
    sums = np.add.reduceat(rows, starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(lengths > 0, lengths, 1), dtype=np.float32)


class FlatIndex:
    """One vector a document in a flat FAISS index: exact search by cosine.

    Parameters
    ----------
    ids
        Of the documents.
    vectors
        ``(documents, dim)`` float32, unit rows.
    """

    def __init__(self, ids: list[str], vectors: FloatMatrix) -> None:
        import faiss

        self.ids, self.bytes = ids, vectors.nbytes
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors))

    def search(self, vector: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """Return ids and cosines of the ``k`` nearest documents to a vector ``(dim,)``."""
        scores, places = self._index.search(vector[None], min(k, len(self.ids)))
        return [(self.ids[place], float(score)) for place, score in zip(places[0], scores[0], strict=True)]


def exact(bench: Bench) -> Asked:
    """Exact MaxSim over float32 vectors: what all others come near to."""
    begun = perf_counter()
    with one_thread():
        run, spent = exact_run(
            bench.spool,
            bench.questions.vectors,
            bench.k,
            lambda done: bench.tell("exact MaxSim", done, len(bench.spool), "documents", begun),
        )
    return Asked(run, spent, bench.questions.encode, encode_seconds=bench.spool.seconds, bytes=bench.spool.bytes)


def mean_of_tokens(bench: Bench) -> Asked:
    """One vector a text: the mean of its token vectors, by cosine."""
    start = perf_counter()
    means = [averaged(rows, starts) for _, rows, starts in bench.spool.blocks()]
    index = FlatIndex(bench.spool.ids, np.concatenate(means))
    seconds = perf_counter() - start
    vectors = bench.questions.vectors

    def answer(name: str) -> Ranking:
        return index.search(averaged(vectors[name], np.zeros(1, np.int64))[0], bench.k)

    run, spent = bench.ask("one vector", answer)
    return Asked(run, spent, bench.questions.encode, seconds, bench.spool.seconds, index.bytes)


def bi_encoded(bench: Bench, model: BiEncoder) -> Asked:
    """One vector a text, by a model of its own: documents and questions are encoded with it here."""
    begun = perf_counter()
    parts: list[NDArray[np.float32]] = []
    for chunk in _chunks(bench.spool.passages(), BATCH):
        parts.append(unit(model.vectors(chunk)))
        done = sum(map(len, parts))
        bench.tell("encode with the bi-encoder", done, len(bench.spool), "documents", begun)
    encoded = perf_counter() - begun
    start = perf_counter()
    index = FlatIndex(bench.spool.ids, np.concatenate(parts))
    seconds = perf_counter() - start
    texts = bench.questions.texts
    vectors: dict[str, NDArray[np.float32]] = {}
    encode: list[float] = []
    with one_thread():
        model.query_vector(next(iter(texts.values())))
        for name, text in texts.items():
            start = perf_counter()
            vectors[name] = unit(model.query_vector(text))
            encode.append(1000 * (perf_counter() - start))
    run, spent = bench.ask("one vector", lambda name: index.search(vectors[name], bench.k))
    return Asked(run, spent, encode, seconds, encoded, index.bytes)


def _chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while chunk := list(islice(rest, size)):
        yield chunk
