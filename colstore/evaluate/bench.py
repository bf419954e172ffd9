"""Where everything that is compared is built, asked and timed: on the same vectors, queries and clock."""

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
class Asked:
    """What one way to search answered.

    Parameters
    ----------
    run
        Rankings by query.
    milliseconds
        Of each query, without encoding it.
    encode
        Milliseconds of encoding each query; empty where nothing is encoded.
    build_seconds, encode_seconds, bytes
        Of its index; of encoding the documents for it; of all that it searches.
    pairs
        Texts that a cross-encoder read, in all.
    """

    run: Run
    milliseconds: Sequence[float]
    encode: Sequence[float] = ()
    build_seconds: float = 0.0
    encode_seconds: float = 0.0
    bytes: int = 0
    pairs: int = 0


@dataclass(frozen=True)
class Questions:
    """The evaluated questions.

    Parameters
    ----------
    texts
        By id; empty where the caller brought vectors instead.
    vectors
        Token vectors by id, in the same order.
    encode
        Milliseconds that encoding each one took; empty where the caller brought them.
    """

    texts: Mapping[str, str]
    vectors: Mapping[str, FloatMatrix]
    encode: Sequence[float] = ()


@dataclass
class Bench:
    """One comparison at work. Use as a context manager: indexes are closed and removed at its end.

    Parameters
    ----------
    spool
        The documents.
    questions
        What is asked.
    folder
        For temporary indexes; empty, and there.
    k
        Hits of a query.
    seed
        Of every build.
    texts
        Whether indexes keep the passages, for a cross-encoder to read.
    progress
        Called every now and then.
    """

    spool: Spool
    questions: Questions
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

    def ask(self, stage: str, answer: Callable[[str], Ranking]) -> tuple[Run, list[float]]:
        """Ask every question once on one thread, after one that is not counted; ``answer`` is given its id."""
        run: dict[str, Ranking] = {}
        milliseconds: list[float] = []
        begun = perf_counter()
        names = list(self.questions.vectors)
        with one_thread():
            answer(names[0])
            for number, name in enumerate(names, start=1):
                start = perf_counter()
                run[name] = answer(name)
                milliseconds.append(1000 * (perf_counter() - start))
                self.tell(stage, number, len(names), "queries", begun)
        return run, milliseconds

    def tell(self, stage: str, done: int, total: int, unit: str, begun: float) -> None:
        """Tell the listener how far a stage has come."""
        if self.progress is not None:
            self.progress(Progress(stage, done, total, unit, 0, perf_counter() - begun))

    def bm25(self) -> tuple[Bm25, float]:
        """Return the BM25 index over the passages, and the seconds that building it took."""
        from colstore.lexical.bm25 import Bm25

        if self._bm25 is None:
            start = perf_counter()
            made = Bm25.build(self.spool.ids, self.spool.passages())
            self._bm25 = made, perf_counter() - start
        return self._bm25

    def index(self, bits: Bits, pool: float = 1.0) -> tuple[Index, float]:
        """Return an index over the vectors, and the seconds that building it took."""
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
                progress=self._renamed(f"build {bits} bits" + (f", pool {pool:g}" if pool > 1 else "")),
            )
            self._indexes[bits, pool] = self._open.enter_context(index), perf_counter() - start
        return self._indexes[bits, pool]

    def drop(self, bits: Bits, pool: float = 1.0) -> None:
        """Close an index and remove its files: a comparison needs the disk of two at a time, not of all."""
        index, _ = self._indexes.pop((bits, pool))
        index.close()
        shutil.rmtree(index.path)

    def _renamed(self, name: str) -> Listener | None:
        listener = self.progress
        if listener is None:
            return None

        def tell(progress: Progress) -> None:
            listener(Progress(f"{name}: {progress.stage}", *(getattr(progress, f) for f in Progress.__slots__[1:])))

        return tell


def words(bench: Bench) -> Asked:
    """BM25."""
    bm25, seconds = bench.bm25()
    run, spent = bench.ask("BM25", lambda name: bm25.search(bench.questions.texts[name], bench.k))
    return Asked(run, spent, build_seconds=seconds, bytes=bm25_bytes(bm25))


def late(bench: Bench, bits: Bits, pool: float) -> Asked:
    """MaxSim on stored codes, searched as an index is by default."""
    index, seconds = bench.index(bits, pool)
    vectors = bench.questions.vectors
    stage = f"search {bits} bits" + (f", pool {pool:g}" if pool > 1 else "")
    run, spent = bench.ask(stage, lambda name: _pairs(index.search(vectors[name], bench.k)))
    return Asked(run, spent, bench.questions.encode, seconds, bench.spool.seconds, index_bytes(index))


def words_then_late(bench: Bench, bits: Bits, candidates: int) -> Asked:
    """BM25's best, put in order by MaxSim."""
    (bm25, bm25_seconds), (index, seconds) = bench.bm25(), bench.index(bits)
    vectors, texts = bench.questions.vectors, bench.questions.texts

    def answer(name: str) -> Ranking:
        ids = [found for found, _ in bm25.search(texts[name], candidates)]
        return _pairs(index.rerank(vectors[name], ids))[: bench.k] if ids else []

    run, spent = bench.ask("BM25, then MaxSim", answer)
    size = bm25_bytes(bm25) + index_bytes(index)
    return Asked(run, spent, bench.questions.encode, bm25_seconds + seconds, bench.spool.seconds, size)


def bm25_bytes(bm25: Bm25) -> int:
    """Return the bytes of a BM25 index, without the ids."""
    return sum(array.nbytes for array in bm25.arrays.values())


def agreement(run: Run, exact: Run, k: int = 10) -> float:
    """Return the mean share of the first ``k`` documents of the exact rankings that a run has among its own first.

    >>> agreement({"q": [("a", 2.0), ("x", 1.0)]}, {"q": [("a", 2.0), ("b", 1.0)]}, k=2)
    0.5
    """
    shares = []
    for name, ranking in exact.items():
        wanted = {document for document, _ in ranking[:k]}
        shares.append(len(wanted & {document for document, _ in run[name][:k]}) / len(wanted))
    return float(np.mean(shares))


def _pairs(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in hits]
