"""The baselines of a comparison: exact MaxSim in float32, and one vector per text in a flat index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from colstore.evaluate.bi_encoder import BATCH, BiEncoder, unit_vectors
from colstore.evaluate.harness import Harness, SystemRun
from colstore.evaluate.machine import one_thread
from colstore.evaluate.measures import Ranking
from colstore.evaluate.spool import Spool
from colstore.types import FloatMatrix

Scores = NDArray[np.float32]


def maxsim(query: FloatMatrix, rows: FloatMatrix, starts: NDArray[np.int64]) -> Scores:
    """Return the MaxSim scores of a query with the documents of a block, ``(documents,)`` float32.

    Parameters
    ----------
    query
        Query vectors, ``(query tokens, dim)``.
    rows
        Token vectors of the documents, one document after the other, ``(tokens, dim)``.
    starts
        The first row of each document, ``(documents,)``.

    Examples
    --------
    >>> rows = np.float32([[1, 0], [0, 1], [-1, 0]])
    >>> maxsim(np.float32([[1, 0], [0, 1]]), rows, np.array([0, 2])).tolist()
    [2.0, -1.0]
    """
    best = np.maximum.reduceat(rows @ query.T, starts, axis=0)
    return np.asarray(best.sum(axis=1, dtype=np.float32))


def exact_rankings(
    spool: Spool, queries: Mapping[str, FloatMatrix], k: int, report: Callable[[int], None] | None = None
) -> tuple[dict[str, list[tuple[str, float]]], list[float]]:
    """Return the ``k`` best documents of each query by exact MaxSim, and the milliseconds that each query took.

    The documents are read once, block by block, for all queries. The time of a query is the time of scoring all
    blocks, without reading them.

    Parameters
    ----------
    spool
        The documents.
    queries
        Query vectors by query id, ``(query tokens, dim)`` each.
    k
        Number of documents to return for each query.
    report
        Called after each block with the number of documents scored so far.
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
        if report is not None:
            report(first + len(starts))
    run = {name: _ranking(spool, *numbers_and_scores) for name, numbers_and_scores in best.items()}
    return run, list(milliseconds.values())


def _merged(
    documents: NDArray[np.int64], scores: Scores, block_scores: Scores, first: int, k: int
) -> tuple[NDArray[np.int64], Scores]:
    """Return the ``k`` best of the documents so far and of a block whose first document has the number ``first``."""
    documents = np.concatenate([documents, np.arange(first, first + len(block_scores))])
    scores = np.concatenate([scores, block_scores])
    if len(scores) > k:
        best = np.argpartition(-scores, k - 1)[:k]
        documents, scores = documents[best], scores[best]
    return documents, scores


def _ranking(spool: Spool, documents: NDArray[np.int64], scores: Scores) -> list[tuple[str, float]]:
    pairs = [(spool.ids[document], float(score)) for document, score in zip(documents, scores, strict=True)]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def averaged(rows: FloatMatrix, starts: NDArray[np.int64]) -> FloatMatrix:
    """Return the mean vector of each text, scaled to length 1: ``(texts, dim)`` float32.

    Where the vectors of a text cancel out, the result is a zero vector, which has similarity 0 to everything.

    Parameters
    ----------
    rows
        Token vectors, one text after the other, ``(tokens, dim)``.
    starts
        The first row of each text, ``(texts,)``.

    Examples
    --------
    >>> averaged(np.float32([[3, 0], [0, 3], [0, 5]]), np.array([0, 2])).round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377], [0.0, 1.0]]
    """
    sums = np.add.reduceat(rows, starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(lengths > 0, lengths, 1), dtype=np.float32)


class FlatIndex:
    """Exact search by cosine over one vector per document, in a flat FAISS index.

    Parameters
    ----------
    ids
        The id of each document.
    vectors
        Vectors of length 1, ``(documents, dim)`` float32.
    """

    def __init__(self, ids: list[str], vectors: FloatMatrix) -> None:
        import faiss

        self.ids, self.bytes = ids, vectors.nbytes
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors))

    def search(self, vector: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """Return the ids and cosines of the ``k`` documents nearest to a vector of length 1, ``(dim,)``, best first."""
        scores, numbers = self._index.search(vector[None], min(k, len(self.ids)))
        return [(self.ids[number], float(score)) for number, score in zip(numbers[0], scores[0], strict=True)]


def run_exact(harness: Harness) -> SystemRun:
    """Search by exact MaxSim over float32 vectors, which all other rows of late interaction approximate."""
    spool, queries = harness.spool, harness.queries
    begun = perf_counter()
    with one_thread():
        run, search_ms = exact_rankings(
            spool,
            queries.vectors,
            harness.k,
            lambda done: harness.report("exact MaxSim", done, len(spool), "documents", begun),
        )
    return SystemRun(run, search_ms, queries.encode_ms, encode_seconds=spool.encode_seconds, bytes=spool.bytes)


def run_mean(harness: Harness) -> SystemRun:
    """Search with one vector per text, the mean of its token vectors, by cosine."""
    spool, queries = harness.spool, harness.queries
    start = perf_counter()
    means = [averaged(rows, starts) for _, rows, starts in spool.blocks()]
    index = FlatIndex(spool.ids, np.concatenate(means))
    seconds = perf_counter() - start

    def search(name: str) -> Ranking:
        return index.search(averaged(queries.vectors[name], np.zeros(1, np.int64))[0], harness.k)

    run, search_ms = harness.search_all("one vector", search)
    return SystemRun(run, search_ms, queries.encode_ms, seconds, spool.encode_seconds, index.bytes)


def run_bi_encoder(harness: Harness, model: BiEncoder) -> SystemRun:
    """Search with one vector per text from a bi-encoder, which encodes documents and queries here."""
    start = perf_counter()
    document_vectors = _document_vectors(harness, model)
    encode_seconds = perf_counter() - start
    start = perf_counter()
    index = FlatIndex(harness.spool.ids, document_vectors)
    seconds = perf_counter() - start
    vectors, encode_ms = _query_vectors(harness.queries.texts, model)
    run, search_ms = harness.search_all("one vector", lambda name: index.search(vectors[name], harness.k))
    return SystemRun(run, search_ms, encode_ms, seconds, encode_seconds, index.bytes)


def _document_vectors(harness: Harness, model: BiEncoder) -> NDArray[np.float32]:
    """Return the bi-encoder's vector of each document, scaled to length 1: ``(documents, dim)``."""
    begun = perf_counter()
    parts: list[NDArray[np.float32]] = []
    for chunk in _chunks(harness.spool.passages(), BATCH):
        parts.append(unit_vectors(model.vectors(chunk)))
        done = sum(map(len, parts))
        harness.report("encode with the bi-encoder", done, len(harness.spool), "documents", begun)
    return np.concatenate(parts)


def _query_vectors(texts: Mapping[str, str], model: BiEncoder) -> tuple[dict[str, NDArray[np.float32]], list[float]]:
    """Return the bi-encoder's vector of each query, scaled to length 1, and the milliseconds that each one took."""
    vectors: dict[str, NDArray[np.float32]] = {}
    milliseconds: list[float] = []
    with one_thread():
        model.query_vector(next(iter(texts.values())))
        for name, text in texts.items():
            start = perf_counter()
            vectors[name] = unit_vectors(model.query_vector(text))
            milliseconds.append(1000 * (perf_counter() - start))
    return vectors, milliseconds


def _chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while chunk := list(islice(rest, size)):
        yield chunk
