"""Ways to search without an index of colstore's: exact MaxSim in float32, and one vector a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from colstore.evaluate.bench import Asked, Bench
from colstore.evaluate.measures import Ranking
from colstore.evaluate.reference import FlatIndex, averaged, exact_run
from colstore.evaluate.sentence import BATCH, BiEncoder, unit
from colstore.evaluate.timing import one_thread


def exact(bench: Bench) -> Asked:
    """Exact MaxSim over float32 vectors: what all others come near to."""
    begun = perf_counter()
    with one_thread():
        run, spent = exact_run(
            bench.spool, bench.questions.vectors, bench.k,
            lambda done: bench.tell("exact MaxSim", done, len(bench.spool), "documents", begun),
        )  # fmt: skip
    return Asked(
        run, spent, bench.questions.encode, encode_seconds=bench.spool.seconds, bytes=bench.spool.bytes
    )  # fmt: skip


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
