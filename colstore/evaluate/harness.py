"""Builds, searches and times the ways to search that a comparison measures: same vectors, queries and clock for all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from colstore.api import build_from_vectors
from colstore.config import Bits
from colstore.evaluate.evaluation import index_bytes
from colstore.evaluate.machine import one_thread
from colstore.evaluate.measures import Ranking, Run
from colstore.evaluate.spool import Spool
from colstore.index import Index
from colstore.reports import Listener, Progress
from colstore.types import FloatMatrix, Hit

if TYPE_CHECKING:
    from colstore.lexical.bm25 import Bm25


@dataclass(frozen=True)
class SystemRun:
    """The rankings of one way to search, with its times and sizes.

    Parameters
    ----------
    run
        Rankings by query id.
    search_ms
        Milliseconds that each query took, without encoding it.
    encode_ms
        Milliseconds that encoding each query took; empty where queries are not encoded.
    build_seconds
        Seconds that building the index took.
    encode_seconds
        Seconds that encoding the documents took; 0 where they are not encoded.
    bytes
        Bytes of everything that is searched.
    pairs
        Number of pairs of query and passage that the cross-encoder scored, over all queries.
    """

    run: Run
    search_ms: Sequence[float]
    encode_ms: Sequence[float] = ()
    build_seconds: float = 0.0
    encode_seconds: float = 0.0
    bytes: int = 0
    pairs: int = 0


@dataclass(frozen=True)
class EncodedQueries:
    """The queries of a comparison with their token vectors.

    Parameters
    ----------
    texts
        Texts by query id; empty where the caller supplied vectors.
    vectors
        Token vectors by query id, ``(tokens, dim)`` each, in the same order.
    encode_ms
        Milliseconds that encoding each query took; empty where the caller supplied vectors.
    """

    texts: Mapping[str, str]
    vectors: Mapping[str, FloatMatrix]
    encode_ms: Sequence[float] = ()


@dataclass
class Harness:
    """The indexes of one comparison. Use it as a context manager: leaving it closes the indexes.

    Parameters
    ----------
    spool
        The documents.
    queries
        The queries.
    folder
        An existing, empty folder for temporary indexes.
    k
        Number of hits per query.
    seed
        Seed of every build.
    texts
        Whether the indexes store the passages, which a cross-encoder reads.
    progress
        Called from time to time with the progress.
    """

    spool: Spool
    queries: EncodedQueries
    folder: Path
    k: int
    seed: int = 0
    texts: bool = False
    progress: Listener | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _indexes: dict[tuple[Bits, float], tuple[Index, float]] = field(default_factory=dict)
    _bm25: tuple[Bm25, float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def search_all(self, stage: str, search: Callable[[str], Ranking]) -> tuple[Run, list[float]]:
        """Search for every query, one at a time on one thread, after a first search that is not timed.

        Parameters
        ----------
        stage
            Name of the stage for the progress.
        search
            Returns the ranking for a query id.

        Returns
        -------
        tuple of Run and list of float
            The rankings by query id, and the milliseconds that each one took.
        """
        run: dict[str, Ranking] = {}
        milliseconds: list[float] = []
        begun = perf_counter()
        names = list(self.queries.vectors)
        with one_thread():
            search(names[0])
            for number, name in enumerate(names, start=1):
                start = perf_counter()
                run[name] = search(name)
                milliseconds.append(1000 * (perf_counter() - start))
                self.report(stage, number, len(names), "queries", begun)
        return run, milliseconds

    def report(self, stage: str, done: int, total: int, unit: str, begun: float) -> None:
        """Pass the progress of a stage to the listener; ``begun`` is the time of its start by ``perf_counter``."""
        if self.progress is not None:
            self.progress(Progress(stage, done, total, unit, 0, perf_counter() - begun))

    def bm25(self) -> tuple[Bm25, float]:
        """Return the BM25 index of the passages, and the seconds that building it took."""
        from colstore.lexical.bm25 import Bm25

        if self._bm25 is None:
            start = perf_counter()
            bm25 = Bm25.build(self.spool.ids, self.spool.passages())
            self._bm25 = bm25, perf_counter() - start
        return self._bm25

    def index(self, bits: Bits, pool: float = 1.0) -> tuple[Index, float]:
        """Return the index of the vectors at these bits and this pool factor, and the seconds that building it took."""
        if (bits, pool) not in self._indexes:
            path = self.folder / f"{bits}-{pool:g}.colstore"
            start = perf_counter()
            index = build_from_vectors(
                path,
                self.spool.ids,
                self.spool.vectors(),
                texts=self.spool.passages() if self.texts else None,
                bits=bits,
                pool_factor=pool,
                store_texts=self.texts,
                seed=self.seed,
                progress=self._prefixed(f"build {bits} bits" + (f", pool {pool:g}" if pool > 1 else "")),
            )
            self._indexes[bits, pool] = self._open.enter_context(index), perf_counter() - start
        return self._indexes[bits, pool]

    def drop(self, bits: Bits, pool: float = 1.0) -> None:
        """Close an index and remove its files, so that a comparison needs disk space for two indexes at a time."""
        index, _ = self._indexes.pop((bits, pool))
        index.close()
        shutil.rmtree(index.path)

    def _prefixed(self, prefix: str) -> Listener | None:
        """Return a listener that passes the progress of a build on under a name that tells which build it is."""
        listener = self.progress
        if listener is None:
            return None

        def report(progress: Progress) -> None:
            listener(Progress(f"{prefix}: {progress.stage}", *(getattr(progress, f) for f in Progress.__slots__[1:])))

        return report


def run_bm25(harness: Harness) -> SystemRun:
    """Search with BM25."""
    bm25, seconds = harness.bm25()
    run, search_ms = harness.search_all("BM25", lambda name: bm25.search(harness.queries.texts[name], harness.k))
    return SystemRun(run, search_ms, build_seconds=seconds, bytes=bm25_bytes(bm25))


def run_maxsim(harness: Harness, bits: Bits, pool: float) -> SystemRun:
    """Search an index with its default parameters: MaxSim on stored codes."""
    index, seconds = harness.index(bits, pool)
    vectors = harness.queries.vectors
    stage = f"search {bits} bits" + (f", pool {pool:g}" if pool > 1 else "")
    run, search_ms = harness.search_all(stage, lambda name: _ranking(index.search(vectors[name], harness.k)))
    return SystemRun(
        run, search_ms, harness.queries.encode_ms, seconds, harness.spool.encode_seconds, index_bytes(index)
    )


def run_bm25_maxsim(harness: Harness, bits: Bits, candidates: int) -> SystemRun:
    """Rank the first ``candidates`` documents of BM25 by MaxSim."""
    (bm25, bm25_seconds), (index, seconds) = harness.bm25(), harness.index(bits)
    vectors, texts = harness.queries.vectors, harness.queries.texts

    def search(name: str) -> Ranking:
        ids = [document for document, _ in bm25.search(texts[name], candidates)]
        return _ranking(index.rerank(vectors[name], ids))[: harness.k] if ids else []

    run, search_ms = harness.search_all("BM25, then MaxSim", search)
    return SystemRun(
        run,
        search_ms,
        harness.queries.encode_ms,
        bm25_seconds + seconds,
        harness.spool.encode_seconds,
        bm25_bytes(bm25) + index_bytes(index),
    )


def bm25_bytes(bm25: Bm25) -> int:
    """Return the bytes of a BM25 index without the ids."""
    return sum(array.nbytes for array in bm25.arrays.values())


def agreement(run: Run, exact: Run, k: int = 10) -> float:
    """Return the mean share of the first ``k`` documents of the exact rankings that are among a run's first ``k``.

    >>> agreement({"q": [("a", 2.0), ("x", 1.0)]}, {"q": [("a", 2.0), ("b", 1.0)]}, k=2)
    0.5
    """
    shares = []
    for name, ranking in exact.items():
        expected = {document for document, _ in ranking[:k]}
        shares.append(len(expected & {document for document, _ in run[name][:k]}) / len(expected))
    return float(np.mean(shares))


def _ranking(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in hits]
